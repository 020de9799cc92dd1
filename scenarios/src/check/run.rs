//! Holding laws against reviews, several at once, in an order that has nothing to do with the log's.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use tokio::task::JoinSet;

use super::case::Case;
use super::law::{Bench, Evidence, Law, Scope, Verdict};
use super::result::{Finding, LawResult, LawVerdict};
use super::shrink::shrink;

/// Reviews that are named.
const NAMED: usize = 10;

/// What is the same for all laws.
pub(super) struct Settings {
    pub(super) concurrency: usize,
    pub(super) shrink: bool,
    pub(super) seed: u64,
}

pub(super) async fn hold(
    law: &'static dyn Law,
    bench: &Arc<Bench>,
    cases: &[Arc<Case>],
    settings: &Settings,
) -> LawResult {
    let about = law.about();
    let mut result = LawResult {
        name: about.name.to_owned(),
        claim: about.claim.to_owned(),
        why: about.why.to_owned(),
        remedy: about.remedy.to_owned(),
        ..LawResult::default()
    };
    let mut chosen: Vec<usize> = (0..cases.len())
        .filter(|index| law.scope() == Scope::Reviews || cases[*index].creates())
        .take(if law.scope() == Scope::Webhook { 1 } else { usize::MAX })
        .collect();
    if chosen.is_empty() {
        result.silence = Some("no review is a CREATE of an object".to_owned());
    }
    chosen.shuffle(&mut rand::rngs::StdRng::seed_from_u64(settings.seed));
    let mut broken: Vec<(usize, Evidence)> = Vec::new();
    let (mut waiting, mut running) = (chosen.into_iter(), JoinSet::new());
    loop {
        while running.len() < settings.concurrency
            && let Some(index) = waiting.next()
        {
            let (bench, case) = (Arc::clone(bench), Arc::clone(&cases[index]));
            running.spawn(async move { (index, law.test(&bench, &case).await) });
        }
        let Some(done) = running.join_next().await else { break };
        match done {
            Ok((_, Verdict::Holds)) => result.held += 1,
            Ok((_, Verdict::Silent(why))) => {
                result.silent += 1;
                result.silence.get_or_insert(why);
            }
            Ok((index, Verdict::Broken(evidence))) => broken.push((index, evidence)),
            // A test that panics is a fault of ours; the others go on.
            Err(_) => result.silent += 1,
        }
    }
    result.broken = broken.len() as u64;
    broken.sort_by_key(|(index, _)| *index);
    result.broken_by = broken.iter().take(NAMED).map(|(index, _)| cases[*index].name()).collect();
    result.verdict = match (result.broken, result.held) {
        (0, 0) => LawVerdict::Silent,
        (0, _) => LawVerdict::Holds,
        _ => LawVerdict::Broken,
    };
    if result.verdict != LawVerdict::Silent {
        result.silence = None;
    }
    let smallest = broken.into_iter().min_by_key(|(index, _)| cases[*index].object().to_string().len());
    if let Some((index, evidence)) = smallest {
        result.finding = Some(finding(law, bench, &cases[index], evidence, settings.shrink).await);
    }
    result
}

async fn finding(law: &dyn Law, bench: &Bench, case: &Case, evidence: Evidence, shrinks: bool) -> Finding {
    let size = |case: &Case| case.object().to_string().len();
    let (minimal, evidence, tests) = if shrinks && law.scope() != Scope::Webhook && case.creates() {
        shrink(law, bench, case, evidence).await
    } else {
        (case.clone(), evidence, 0)
    };
    Finding {
        review: case.name(),
        bytes: (size(case), size(&minimal)),
        minimal: minimal.review,
        evidence: evidence.lines,
        tests,
        before: evidence.before,
        after: evidence.after,
        saved: Vec::new(),
        captured: case.review.clone(),
    }
}
