//! Text that gives itself away as a secret, wherever it stands.

use std::sync::LazyLock;

use regex::Regex;

use super::names;

/// Parts of a text that are secrets: byte ranges, in order, not overlapping.
///
/// Known forms (below) and assignments: `--password=x`, `PASSWORD: x`, `"token":"x"`, `https://user:x@host`.
pub(super) fn secrets(text: &str, names: &names::Names) -> Vec<(usize, usize)> {
    // Too short to hold any of them.
    if text.len() < 6 {
        return Vec::new();
    }
    let mut found: Vec<(usize, usize)> = Vec::new();
    if let Some(forms) = FORMS.as_ref() {
        // The first group, where there is one, is the secret; the rest tells that it is one.
        for captures in forms.captures_iter(text) {
            if let Some(part) = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0))
                && !names::harmless(part.as_str())
            {
                found.push((part.start(), part.end()));
            }
        }
    }
    if let Some(assignments) = ASSIGNMENT.as_ref() {
        let mut at = 0;
        while let Some(captures) = assignments.captures_at(text, at) {
            let name = captures.get(1).or_else(|| captures.get(2));
            let value = captures.iter().skip(3).flatten().next();
            let (Some(whole), Some(name), Some(value)) = (captures.get(0), name, value) else { break };
            if names.is_secret_in_text(name.as_str()) && !names::harmless(value.as_str()) {
                found.push((value.start(), value.end()));
                at = value.end();
            } else {
                // The value may be the name of the next one.
                at = value.start().max(whole.start() + 1);
            }
        }
    }
    found.sort_unstable();
    let mut disjoint: Vec<(usize, usize)> = Vec::with_capacity(found.len());
    for (start, end) in found {
        match disjoint.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ if start < end => disjoint.push((start, end)),
            _ => {}
        }
    }
    disjoint
}

/// Forms of secrets. A pattern with a group: the group is the secret.
static FORMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        // PEM: private keys, to their end or to the text's.
        r"(?s:-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z))",
        // JSON Web Tokens, signed or encrypted.
        r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,3}",
        // AWS access key ids.
        r"|\b(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b",
        // GitHub, GitLab, Slack, Google, Stripe, npm, PyPI, SendGrid, Vault, age, Hugging Face, OpenAI and their like.
        r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bgl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{16,}",
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}|\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}",
        r"|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}",
        r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
        r"|\bhf_[A-Za-z0-9]{30,}|\bsk-(?:(?:proj|ant|svcacct|api\d\d)-)*[A-Za-z0-9]{20,}[A-Za-z0-9_-]*|\bdop_v1_[a-f0-9]{60,}",
        // HTTP credentials.
        r"|(?i:\b(?:bearer|basic|digest|negotiate)) +([A-Za-z0-9+/=._~-]{8,})",
        // Passwords in URLs.
        r"|\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#]*:([^\s/@]+)@",
    ))
    .ok()
});

/// A name, something that assigns, and a value: in quotes (escaped ones too), or up to what ends a word. A space assigns
/// only behind a flag.
static ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:([A-Za-z0-9_.\-]+)(?:\\*["'])?\s{0,8}[=:]\s{0,8}|(--?[A-Za-z][A-Za-z0-9_.\-]*)[ \t]{1,8})"#,
        r#"(?:\\+"([^"\\]*)|"((?:[^"\\]|\\.)*)"?|'([^']*)'?|([^\s"',;&|<>(){}]+))"#,
    ))
    .ok()
});
