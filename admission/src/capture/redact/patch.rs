//! What a webhook answers: messages, and a JSON Patch in base64 whose operations are looked at where they point to.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::places::Place;
use super::spans::Node;
use super::walk::Walk;

impl Walk<'_, '_> {
    /// An AdmissionReview with a response; `request` is what it answers.
    pub(super) fn answer(&mut self, review: &Node<'_>, request: Option<&Node<'_>>) {
        let patch = review.get("response").and_then(|response| response.get("patch"));
        if let Node::Object(members) = review {
            for (key, value) in members {
                match value {
                    Node::Object(members) if key == "response" => {
                        for (key, value) in members {
                            match key.as_ref() {
                                "patch" => {}
                                // Annotations of the audit log: no names of secrets, but messages.
                                _ => self.visit(value, Place::In { custom: false }, key, None),
                            }
                        }
                    }
                    _ => self.visit(value, Place::In { custom: false }, key, None),
                }
            }
        } else {
            self.visit(review, Place::In { custom: false }, "", None);
        }
        if let Some(Node::String(span, text)) = patch {
            let plain = STANDARD.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            match plain.as_deref().and_then(|plain| Node::parse(plain).map(|node| (plain, node))) {
                Some((plain, operations)) => {
                    let mut walk = Walk::new(self.redactor, &mut *self.known, self.apply);
                    walk.operations(&operations, request);
                    if let Some(new) = walk.finish(plain) {
                        self.edit(span, STANDARD.encode(new));
                    }
                }
                // Nobody can apply it, and nobody knows what is in it.
                None => self.whole(span, text),
            }
        }
    }

    /// The operations of a patch of the request's object.
    fn operations(&mut self, operations: &Node<'_>, request: Option<&Node<'_>>) {
        let Node::Array(items) = operations else {
            return self.visit(operations, Place::In { custom: true }, "", None);
        };
        let object = request.and_then(|request| request.get("object"));
        // Lists that changed: what stands at an index is no longer what the object says.
        let mut shifted: HashSet<String> = HashSet::new();
        let mut last_argument: Option<(String, bool)> = None;
        for operation in items {
            let path = operation.get("path").and_then(Node::text).unwrap_or_default();
            let tokens: Vec<String> =
                path.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
            if let Some(value) = operation.get("value") {
                self.operation(path, &tokens, value, object, &shifted, &mut last_argument);
            }
            if let Some((list, last)) = path.rsplit_once('/')
                && last != "-"
                && is_index(last)
                && !shifted.contains(list)
            {
                shifted.insert(list.to_owned());
            }
        }
    }

    fn operation(
        &mut self,
        path: &str,
        tokens: &[String],
        value: &Node<'_>,
        object: Option<&Node<'_>>,
        shifted: &HashSet<String>,
        last_argument: &mut Option<(String, bool)>,
    ) {
        let mut place = object.map_or(Place::In { custom: false }, |object| Place::In { custom: false }.enter(object));
        let mut at = object;
        let mut parent = None;
        let mut key = "";
        for token in tokens {
            let maps = matches!(place, Place::Top(_) | Place::In { .. } | Place::Arguments);
            if !(maps && is_index(token)) {
                place = place.inner(token);
                key = token;
            }
            parent = at;
            at = at.and_then(|node| node.step(token));
        }
        let moved = path.match_indices('/').any(|(end, _)| shifted.contains(&path[..end]));
        match (place, value) {
            // A value whose name stands elsewhere: in the object, if it is still where it was.
            (Place::Top(_) | Place::In { .. }, Node::String(span, text)) if key == "value" => {
                match parent.and_then(|parent| parent.get("name")).and_then(Node::text).filter(|_| !moved) {
                    Some(name) => self.visit(value, place, key, Some(name)),
                    None => self.whole(span, text),
                }
            }
            (Place::Arguments, Node::String(span, text)) => {
                let list = path.rsplit_once('/').map_or("", |(list, _)| list);
                let before = match (&last_argument, tokens.last().map(String::as_str)) {
                    (Some((of, secret)), _) if of == list => Some(*secret),
                    _ if moved => None,
                    (_, Some(index)) => {
                        let argument = match (parent, index.parse::<usize>()) {
                            (Some(Node::Array(items)), Ok(index)) => index.checked_sub(1).and_then(|i| items.get(i)),
                            (Some(Node::Array(items)), Err(_)) => items.last(),
                            _ => None,
                        };
                        Some(argument.and_then(Node::text).is_some_and(|text| self.is_secret_flag(text)))
                    }
                    _ => None,
                };
                // Behind an argument that is not known there may be a secret, unless it is a flag itself.
                let secret = before.unwrap_or(true) && !text.starts_with('-') || self.looks_secret(text);
                *last_argument = Some((list.to_owned(), self.is_secret_flag(text)));
                if secret && !text.starts_with('-') {
                    self.whole(span, text);
                } else {
                    self.visit(value, place, key, None);
                }
            }
            _ => self.visit(value, place, key, None),
        }
    }
}

/// A token that stands for an item of a list.
fn is_index(token: &str) -> bool {
    token == "-" || !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit())
}
