//! One walk over one JSON text.

use std::collections::HashSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::places::{Place, is_reference};
use super::spans::{Node, splice};
use super::{Redactor, looks, names};

/// Secrets of one record, to be found again where somebody quotes them.
#[derive(Default)]
pub(super) struct Known {
    secrets: HashSet<String>,
    bytes: usize,
    any: bool,
    searcher: Option<AhoCorasick>,
}

/// A shorter secret is not searched for in other places: it would be found in words.
const SHORTEST: usize = 8;
/// Longer ones are no passwords; nobody quotes them whole.
const LONGEST: usize = 8 * 1024;
/// Bytes of all secrets that are searched for.
const MOST: usize = 256 * 1024;

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    pub(super) fn add(&mut self, secret: &str) {
        self.any = true;
        if self.searcher.is_some() || !(SHORTEST..=LONGEST).contains(&secret.len()) || self.bytes > MOST {
            return;
        }
        // As it looks when it is quoted.
        let quoted = apimachinery::value::Value::from(secret).to_string();
        let quoted = quoted.trim_matches('"');
        for form in [secret, quoted] {
            if !self.secrets.contains(form) {
                self.bytes += form.len();
                self.secrets.insert(form.to_owned());
            }
        }
    }

    /// From now on they can be found.
    pub(super) fn build(&mut self) {
        self.searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.secrets).ok();
    }

    /// Adds where they stand in a text to `parts`, which stay in order and disjoint.
    pub(super) fn find(&self, text: &str, parts: &mut Vec<(usize, usize)>) {
        let Some(searcher) = self.searcher.as_ref().filter(|_| !self.secrets.is_empty()) else { return };
        let before = parts.len();
        for found in searcher.find_iter(text) {
            let (start, end) = (found.start(), found.end());
            if !parts[..before].iter().any(|part| part.0 <= start && end <= part.1) {
                parts.push((start, end));
            }
        }
        if parts.len() > before {
            parts.sort_unstable();
            let mut disjoint: Vec<(usize, usize)> = Vec::with_capacity(parts.len());
            for part in parts.drain(..) {
                match disjoint.last_mut() {
                    Some(last) if part.0 < last.1 => last.1 = last.1.max(part.1),
                    _ => disjoint.push(part),
                }
            }
            *parts = disjoint;
        }
    }
}

/// JSON within JSON is followed this deep; what lies deeper is taken out whole.
const NESTED: usize = 4;

pub(super) struct Walk<'r, 'k> {
    pub(super) redactor: &'r Redactor,
    pub(super) known: &'k mut Known,
    pub(super) apply: bool,
    edits: Vec<(Range<usize>, String)>,
    nested: usize,
}

impl<'r, 'k> Walk<'r, 'k> {
    pub(super) fn new(redactor: &'r Redactor, known: &'k mut Known, apply: bool) -> Self {
        Self { redactor, known, apply, edits: Vec::new(), nested: 0 }
    }

    /// The new text, if anything changed.
    pub(super) fn finish(self, text: &str) -> Option<String> {
        (!self.edits.is_empty()).then(|| splice(text, self.edits))
    }

    /// Visits a value that stands at `place` under the name `key`; `sibling` is the `name` beside it.
    pub(super) fn visit(&mut self, node: &Node<'_>, place: Place, key: &str, sibling: Option<&str>) {
        match node {
            _ if place == Place::Nothing => {}
            Node::Object(members) => {
                let place = place.enter(node);
                let name = node.get("name").and_then(Node::text);
                for (key, value) in members {
                    self.visit(value, place.inner(key), key, name);
                }
            }
            Node::Array(items) if place == Place::Arguments => self.arguments(items),
            Node::Array(items) => {
                for item in items {
                    self.visit(item, place, key, None);
                }
            }
            Node::String(span, text) => self.string(span, text, place, key, sibling),
            Node::Other => {}
        }
    }

    fn string(&mut self, span: &Range<usize>, text: &str, place: Place, key: &str, sibling: Option<&str>) {
        let names = &self.redactor.names;
        match place {
            Place::Nothing => {}
            Place::SecretData => self.base64(span, key, text),
            Place::SecretText => self.whole(span, text),
            Place::ConfigBinary => self.binary(span, key, text),
            Place::Labels => self.free(span, text, '-'),
            Place::Annotations if names.is_secret_annotation(key) => self.whole(span, text),
            Place::ConfigData | Place::ByName if names.is_secret(key) => self.whole(span, text),
            Place::Annotations | Place::ConfigData | Place::ByName | Place::Arguments => self.rich(span, text),
            Place::Top(_) | Place::In { .. } => {
                let custom = place == Place::In { custom: true };
                let secret = key == "token"
                    || key == "value" && sibling.is_some_and(|name| names.is_secret_header(name))
                    || custom && names.is_secret_member(key);
                if secret {
                    self.whole(span, text);
                } else if !is_reference(key) {
                    self.rich(span, text);
                }
            }
        }
    }

    /// A command line: flags with their values in the same item or the next one.
    fn arguments(&mut self, items: &[Node<'_>]) {
        let mut secret_next = false;
        for item in items {
            let Node::String(span, text) = item else {
                secret_next = false;
                continue;
            };
            if std::mem::take(&mut secret_next) && !text.starts_with('-') {
                self.whole(span, text);
                continue;
            }
            secret_next = self.is_secret_flag(text);
            self.rich(span, text);
        }
    }

    /// A flag whose value is the next argument.
    pub(super) fn is_secret_flag(&self, text: &str) -> bool {
        text.starts_with('-') && !text.contains(['=', ' ', '\n']) && self.redactor.names.is_secret(text)
    }

    /// The string is secret from end to end.
    pub(super) fn whole(&mut self, span: &Range<usize>, text: &str) {
        if names::harmless(text) {
            return;
        }
        self.known.add(text);
        if self.apply {
            self.edits.push((span.clone(), self.redactor.token(text.as_bytes())));
        }
    }

    fn base64(&mut self, span: &Range<usize>, key: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some((plain, new)) = self.redactor.base64(key, text) {
            self.known.add(text);
            if let Ok(plain) = std::str::from_utf8(&plain) {
                self.known.add(plain);
            }
            if self.apply {
                self.edits.push((span.clone(), new));
            }
        }
    }

    /// A ConfigMap's binary value: by name like any other, by content if it is text.
    fn binary(&mut self, span: &Range<usize>, key: &str, text: &str) {
        if self.redactor.names.is_secret(key) {
            return self.base64(span, key, text);
        }
        let plain = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(plain) = plain
            && let Some(new) = self.redactor.scan(&plain, self.known, self.apply, ':')
        {
            self.edits.push((span.clone(), STANDARD.encode(new)));
        }
    }

    /// Text that may be JSON (as in the annotation last-applied-configuration), or hold secrets here and there.
    fn rich(&mut self, span: &Range<usize>, text: &str) {
        let begins = text.trim_start().as_bytes().first();
        if matches!(begins, Some(b'{' | b'['))
            && let Some(node) = Node::parse(text)
        {
            if self.nested >= NESTED {
                return self.whole(span, text);
            }
            let mut walk = Walk { nested: self.nested + 1, ..Walk::new(self.redactor, &mut *self.known, self.apply) };
            walk.visit(&node, Place::In { custom: true }, "", None);
            if let Some(new) = walk.finish(text) {
                self.edits.push((span.clone(), new));
            }
            return;
        }
        self.free(span, text, ':');
    }

    pub(super) fn free(&mut self, span: &Range<usize>, text: &str, mark: char) {
        if let Some(new) = self.redactor.scan(text, self.known, self.apply, mark) {
            self.edits.push((span.clone(), new));
        }
    }

    pub(super) fn edit(&mut self, span: &Range<usize>, new: String) {
        self.edits.push((span.clone(), new));
    }

    /// Whether a text gives itself away.
    pub(super) fn looks_secret(&self, text: &str) -> bool {
        !looks::secrets(text, &self.redactor.names).is_empty()
    }
}
