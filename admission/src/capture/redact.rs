//! Secrets out of records: found by where they stand, what they are called and what they look like, and exchanged for a
//! keyed hash, so that equal values stay equal and nobody can try passwords against the log.
//!
//! ```text
//! Record ─┬─ body ────────────► walk ──► edits ──► the same text with other strings
//!         ├─ response.body ───► walk ─┬► edits
//!         │                           └► patch: base64 ──► operations, walked where they point to
//!         ├─ headers, query ──► names
//!         └─ first all of it only to collect what is secret; then again, and wherever a collected secret is quoted
//!                              (arguments, messages, warnings) it goes, too
//! ```
//!
//! Text in which nothing was found stays byte for byte; in the rest only the strings change, and they stay what they were:
//! base64 stays base64, JSON in annotations stays JSON.

mod looks;
mod names;
mod patch;
mod places;
mod spans;
#[cfg(test)]
mod tests;
mod walk;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::Record;
use names::Names;
use places::Place;
use spans::Node;
use walk::{Known, Walk};

/// Takes secrets out of records. Cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    key: hmac::Key,
    names: Names,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// A pattern for names that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("pattern for names of secrets: {0}")]
pub struct PatternError(#[source] regex::Error);

impl Redactor {
    /// With the default rules. Whoever knows the key can check guesses: it should be random (32 bytes) and kept, or thrown
    /// away. Logs made with the same key have the same hashes.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), names: Names::default() }
    }

    /// Changes the rule for names (of environment variables, flags, headers, keys of annotations, ConfigMaps and options):
    /// names that match one of `also` are secret, too; names that match one of `except` are not, whatever else they match.
    /// Both are regular expressions, case does not matter, and they may match any part of a name.
    ///
    /// # Errors
    /// Something is no regular expression, or a huge one.
    pub fn patterns(mut self, also: &[String], except: &[String]) -> Result<Self, PatternError> {
        self.names = Names::new(also, except).map_err(PatternError)?;
        Ok(self)
    }

    /// Takes the secrets out of a record. A body that is no JSON is taken out whole.
    pub fn record(&self, record: &mut Record) {
        let mut all = Known::default();
        self.pass(record, &mut all, false);
        if !all.is_empty() {
            all.build();
            self.pass(record, &mut all, true);
        }
        let is_json = record.body.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(&record.body).is_ok();
        if !is_json && !names::harmless(&record.body) {
            record.body = self.token(record.body.as_bytes());
        }
    }

    /// Walks all parts of a record: first to find secrets, then, with `apply`, to exchange them.
    fn pass(&self, record: &mut Record, known: &mut Known, apply: bool) {
        let body = Node::parse(&record.body);
        let request = body.as_ref().and_then(|review| review.get("request"));
        let mut new_body = None;
        if let Some(review) = &body {
            let mut walk = Walk::new(self, known, apply);
            walk.visit(review, Place::In { custom: false }, "", None);
            new_body = walk.finish(&record.body);
        }
        for (name, value) in &mut record.headers {
            self.header(name, value, known, apply);
        }
        self.query(&mut record.query, known, apply);
        self.free(&mut record.path, known, apply);
        if let Some(answer) = &mut record.response {
            for (name, value) in &mut answer.headers {
                self.header(name, value, known, apply);
            }
            match Node::parse(&answer.body) {
                Some(node) => {
                    let mut walk = Walk::new(self, known, apply);
                    walk.answer(&node, request);
                    if let Some(new) = walk.finish(&answer.body) {
                        answer.body = new;
                    }
                }
                None => self.free(&mut answer.body, known, apply),
            }
        }
        if let Some(new) = new_body {
            record.body = new;
        }
    }

    fn header(&self, name: &str, value: &mut String, known: &mut Known, apply: bool) {
        if !self.names.is_secret_header(name) {
            return self.free(value, known, apply);
        }
        if names::harmless(value) {
            return;
        }
        known.add(value);
        // The credentials may be quoted without their scheme.
        if let Some((_, credentials)) = value.split_once(' ') {
            known.add(credentials.trim());
        }
        if apply {
            *value = self.token(value.as_bytes());
        }
    }

    fn query(&self, query: &mut String, known: &mut Known, apply: bool) {
        if query.is_empty() {
            return;
        }
        let mut changed = false;
        let mut parts = Vec::new();
        for part in query.split('&') {
            match part.split_once('=') {
                Some((name, value)) if self.names.is_secret(name) && !names::harmless(value) => {
                    known.add(value);
                    changed = true;
                    parts.push(format!("{name}={}", self.token(value.as_bytes())));
                }
                _ => parts.push(part.to_owned()),
            }
        }
        if changed && apply {
            *query = parts.join("&");
        }
        self.free(query, known, apply);
    }

    /// Text without a structure.
    fn free(&self, text: &mut String, known: &mut Known, apply: bool) {
        if let Some(new) = self.scan(text, known, apply, ':') {
            *text = new;
        }
    }

    /// The text with its secrets exchanged, if there is one in it.
    fn scan(&self, text: &str, known: &mut Known, apply: bool, mark: char) -> Option<String> {
        let mut parts = looks::secrets(text, &self.names);
        if !apply {
            for (start, end) in parts {
                known.add(&text[start..end]);
            }
            return None;
        }
        known.find(text, &mut parts);
        if parts.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in parts {
            out.push_str(&text[at..start]);
            out.push_str(&self.marked(&text.as_bytes()[start..end], mark));
            at = end;
        }
        out.push_str(&text[at..]);
        Some(out)
    }

    /// What stands for a secret: `redacted:` and the first 64 bits of its keyed hash.
    fn token(&self, secret: &[u8]) -> String {
        self.marked(secret, ':')
    }

    fn marked(&self, secret: &[u8], mark: char) -> String {
        use std::fmt::Write;
        let mut token = format!("redacted{mark}");
        for byte in &hmac::sign(&self.key, secret).as_ref()[..8] {
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// What stands for a value of a Secret's `data`, and the value itself. Registry credentials have to stay JSON, or an
    /// apiserver refuses the Secret.
    fn base64(&self, key: &str, value: &str) -> Option<(Vec<u8>, String)> {
        let plain = STANDARD.decode(value).unwrap_or_else(|_| value.as_bytes().to_vec());
        let done = std::str::from_utf8(&plain)
            .is_ok_and(|text| names::harmless(text) || text.starts_with("{\"redacted\":\"redacted:"));
        if done {
            return None;
        }
        let token = self.token(&plain);
        let docker = matches!(key, ".dockerconfigjson" | ".dockercfg");
        let new = if docker { format!("{{\"redacted\":\"{token}\"}}") } else { token };
        Some((plain, STANDARD.encode(new)))
    }
}
