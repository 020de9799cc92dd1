//! What of a captured review is sent to the apiserver again.

use std::ops::Range;

use admission::review::Received;
use apimachinery::skim::Skim;
use apimachinery::value::Value;

use super::super::target::{Verdict, owner_of};

/// A captured object on its way to the apiserver again.
#[derive(Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) body: Vec<u8>,
    pub(super) needs: Needs,
    /// The kind of the controlling owner, or of the first; empty if there is none.
    pub(super) owner: String,
}

/// What a pod's `spec` names, and admission looks up.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) service_account_name: Option<String>,
    pub(super) priority_class_name: Option<String>,
    pub(super) priority: Option<i64>,
    pub(super) runtime_class_name: Option<String>,
    pub(super) overhead: Value,
}

/// A review in two parts: the object is most of it, and it is the apiserver's to say whether it is JSON.
#[derive(Debug, PartialEq)]
pub(super) struct Parted {
    /// The review with null in place of the object.
    pub(super) rest: String,
    pub(super) sent: Sent,
}

impl Parted {
    /// Parts a review's text. `None`: it has to be read whole, for what is in it or for what is wrong with it.
    pub(super) fn of(body: &str) -> Option<Self> {
        let mut found = None;
        Skim::new(body).members(&["request"], |skim, _| {
            skim.members(&["object"], |skim, _| {
                let start = skim.at();
                // What is no object is not skimmed for its members.
                if body.as_bytes().get(start) != Some(&b'{') {
                    return None;
                }
                let Seen { cut, needs, owner } = look(skim)?;
                let (object, end) = (body.get(start..skim.at())?, skim.at());
                let cut = cut.map(|cut| cut.start - start..cut.end - start);
                let sent = Sent { body: without(object.as_bytes(), cut), needs, owner };
                found = Some(Self { rest: [body.get(..start)?, "null", body.get(end..)?].concat(), sent });
                Some(())
            })
        })?;
        found
    }
}

/// Why a request cannot be done again, if it cannot.
pub(super) fn refused(request: &Received<'_>) -> Option<Verdict> {
    (&*request.operation != "CREATE" || !request.sub_resource.is_empty()).then(|| {
        let what = format!("{} of {}/{}", request.operation, request.resource.resource, request.sub_resource);
        Verdict::NotReplayable(format!(
            "{} needs what was stored then: through an apiserver only CREATE is replayed, --through direct sends the rest",
            what.trim_end_matches('/')
        ))
    })
}

impl Sent {
    /// What of a review is sent again.
    pub(super) fn of_review(request: &Received<'_>) -> Result<Self, Verdict> {
        if let Some(verdict) = refused(request) {
            return Err(verdict);
        }
        let object = request.object.ok_or_else(|| Verdict::Failed("the review holds no object".to_owned()))?;
        Ok(Self::of(object.get()))
    }

    /// The object without its managedFields, which the apiserver writes itself; all else byte for byte. A text that cannot be
    /// looked through goes as it is: the apiserver will say what is wrong with it.
    fn of(object: &str) -> Self {
        let Seen { cut, needs, owner } = look(&mut Skim::new(object)).unwrap_or_default();
        Self { body: without(object.as_bytes(), cut), needs, owner }
    }
}

/// What is seen in an object.
#[derive(Default)]
struct Seen {
    /// Where its managedFields are.
    cut: Option<Range<usize>>,
    needs: Needs,
    /// The kind of its owner.
    owner: String,
}

/// Looks through the object that stands here.
fn look(skim: &mut Skim<'_>) -> Option<Seen> {
    let (mut cut, mut needs, mut owner) = (None, Needs::default(), "");
    skim.members(&["metadata", "spec"], |skim, member| match member {
        0 => {
            let mut before = skim.at() + 1;
            skim.each_member(|skim, name| {
                match name {
                    "ownerReferences" => owner = owner_of(skim)?,
                    _ => skim.skip()?,
                }
                if name == "managedFields" {
                    cut = Some(before..skim.at());
                }
                before = skim.at();
                Some(())
            })
        }
        _ => needs.read(skim),
    })?;
    Some(Seen { cut, needs, owner: owner.to_owned() })
}

/// The text of an object without a member.
fn without(object: &[u8], cut: Option<Range<usize>>) -> Vec<u8> {
    let Some(cut) = cut else { return object.to_vec() };
    let (head, tail) = (object.get(..cut.start).unwrap_or_default(), object.get(cut.end..).unwrap_or_default());
    // The first member leaves the comma behind it.
    let comma = head.trim_ascii_end().ends_with(b"{");
    [head, tail.trim_ascii_start().strip_prefix(b",").filter(|_| comma).unwrap_or(tail)].concat()
}

impl Needs {
    /// Reads a spec; what is of another shape is another kind's.
    fn read(&mut self, spec: &mut Skim<'_>) -> Option<()> {
        const NAMES: [&str; 5] =
            ["serviceAccountName", "priorityClassName", "priority", "runtimeClassName", "overhead"];
        spec.members(&NAMES, |skim, member| {
            let value: Value = serde_json::from_str(skim.value()?).unwrap_or_default();
            let text = value.as_str().map(str::to_owned);
            match member {
                0 => self.service_account_name = text,
                1 => self.priority_class_name = text,
                2 => self.priority = value.as_i64(),
                3 => self.runtime_class_name = text,
                _ => self.overhead = value,
            }
            Some(())
        })
    }
}

/// The URL of the POST, with the options that the client gave.
pub(super) fn path(request: &Received<'_>) -> String {
    let resource = &request.resource;
    let mut path = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    if !request.namespace.is_empty() && resource.resource != "namespaces" {
        path.push_str(&format!("/namespaces/{}", request.namespace));
    }
    path.push_str(&format!("/{}?dryRun=All", resource.resource));
    let options: Value = request.options.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    if let Some(manager) = options["fieldManager"].as_str().filter(|manager| !manager.is_empty()) {
        path.push_str("&fieldManager=");
        for byte in manager.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn a_review_in_two_parts_is_the_same_review() {
        let object =
            r#"{"metadata": {"managedFields": [], "ownerReferences": [{"kind": "Job"}]}, "spec": {"priority": 1}}"#;
        let review = |object: &str| {
            format!(
                r#"{{"kind": "AdmissionReview", "request": {{"uid": "x", "object": {object}, "operation": "CREATE"}}}}"#
            )
        };
        let parted = Parted::of(&review(object)).unwrap();
        assert_eq!((&*parted.rest, &parted.sent), (&*review("null"), &Sent::of(object)));
        assert_eq!(parted.sent.owner, "Job");
        for whole in ["null", "1", "[]", r#"{"metadata": {"#, r#"{"spec": {}, "spec": {}}"#] {
            assert_eq!(Parted::of(&review(whole)), None, "{whole}");
        }
        assert_eq!(Parted::of("{}"), None);
    }

    #[test]
    fn only_managed_fields_are_taken_out() {
        for (object, sent) in [
            (r#"{"metadata": {"a": 1, "managedFields": [{"x": "}"}], "b": 2}}"#, r#"{"metadata": {"a": 1, "b": 2}}"#),
            (r#"{"metadata": { "managedFields" : [] , "b": 2}}"#, r#"{"metadata": { "b": 2}}"#),
            (r#"{"metadata":{"managedFields":[]}}"#, r#"{"metadata":{}}"#),
            (r#"{"metadata":{"a":1,"managedFields":[]},"spec":{}}"#, r#"{"metadata":{"a":1},"spec":{}}"#),
            (r#"{"spec": {"managedFields": []}}"#, r#"{"spec": {"managedFields": []}}"#),
            (r#"{"metadata": null}"#, r#"{"metadata": null}"#),
            (r#"{"metadata": {"managedFields": []"#, r#"{"metadata": {"managedFields": []"#),
        ] {
            let body = Sent::of(object).body;
            let (read, wanted) = (serde_json::from_slice::<Value>(&body), serde_json::from_str::<Value>(sent));
            assert_eq!(read.ok(), wanted.ok(), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn what_a_pod_needs_is_read() {
        let object = json!({"metadata": {}, "spec": {"serviceAccountName": "a\"b", "priority": 7, "overhead": {"cpu": "1"},
            "containers": [{"serviceAccountName": "no"}], "priorityClassName": null, "runtimeClassName": {}}});
        let needs = Sent::of(&object.to_string()).needs;
        let wanted = Needs {
            service_account_name: Some("a\"b".to_owned()),
            priority: Some(7),
            overhead: json!({"cpu": "1"}),
            ..Needs::default()
        };
        assert_eq!(needs, wanted);
    }
}
