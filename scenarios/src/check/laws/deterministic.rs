use apimachinery::value::Value;

use crate::check::case::Case;
use crate::check::change::changes;
use crate::check::law::{About, Bench, Law, Testing, Verdict, settled};

/// The same question, the same answer.
pub(in crate::check) struct Deterministic;

const ABOUT: About = About {
    name: "deterministic",
    claim: "the same review, asked several times, alone and beside others, in any order, gets the same patch byte for byte",
    why: "Pods of one ReplicaSet are meant to be the same, and an apiserver that retries, or has several replicas of the \
          webhook behind it, must not see the object flap; a patch that depends on the order of a map is also one that \
          nobody can compare between two versions.",
    remedy: "sort what comes out of maps; take time, counters and random names out of the patch",
};

/// How often a review is asked one after the other, and at the same time.
const TIMES: (usize, usize) = (2, 3);

impl Law for Deterministic {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(same(bench, case).await) })
    }
}

async fn same(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    let mut answers = Vec::new();
    for _ in 0..TIMES.0 {
        answers.push(bench.patched(case).await?);
    }
    // Three at once, on connections of their own, while other reviews are asked by other tests of this law.
    let (a, b, c) = tokio::join!(bench.patched(case), bench.patched(case), bench.patched(case));
    for answer in [a, b, c] {
        answers.push(answer?);
    }
    let first = answers.remove(0);
    for other in answers {
        let (one, two) = (&first.answered.response.patch, &other.answered.response.patch);
        if one != two {
            let mut lines: Vec<String> = changes(&first.after, &other.after).iter().map(ToString::to_string).collect();
            if lines.is_empty() {
                lines.push(format!(
                    "the patches lead to the same object, but differ in their text: {}",
                    difference(one.as_deref().unwrap_or_default(), two.as_deref().unwrap_or_default())
                ));
            }
            return Ok(Verdict::compared(lines, first.after, other.after));
        }
    }
    Ok(Verdict::Holds)
}

/// Where two patches part ways.
fn difference(one: &[u8], two: &[u8]) -> String {
    let operations = |text| serde_json::from_slice::<Vec<Value>>(text).unwrap_or_default();
    let (one, two) = (operations(one), operations(two));
    let at = one.iter().zip(&two).position(|(a, b)| a != b).unwrap_or_else(|| one.len().min(two.len()));
    let place = |list: &[Value]| list.get(at).map_or_else(|| "its end".to_owned(), |item| item["path"].to_string());
    format!("operation {at} is at {} in one and at {} in the other", place(&one), place(&two))
}
