//! On which line of a YAML text a field stands.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// Lines by JSON pointer, for the first document of a text.
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<String, usize>);

/// Where the walk is: in a list at this index, or in a map behind this key.
enum Level {
    List(usize),
    Map(Option<String>),
}

impl Lines {
    /// Reads the positions; a text that does not parse has those up to the error.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = HashMap::new();
        let mut stack: Vec<(String, Level)> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let line = span.start.line();
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    let pointer = place(&mut stack);
                    lines.entry(pointer.clone()).or_insert(line);
                    let level =
                        if matches!(event, Event::MappingStart(..)) { Level::Map(None) } else { Level::List(0) };
                    stack.push((pointer, level));
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    stack.pop();
                }
                Event::Scalar(text, ..) => {
                    if let Some((pointer, Level::Map(key @ None))) = stack.last_mut() {
                        lines.insert(child(pointer, &text), line);
                        *key = Some(text.into_owned());
                    } else {
                        lines.entry(place(&mut stack)).or_insert(line);
                    }
                }
                Event::Alias(_) => {
                    lines.entry(place(&mut stack)).or_insert(line);
                }
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        Self(lines)
    }

    /// The line of the field, or of what holds it.
    pub(super) fn find(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.0.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return 1,
            }
        }
    }
}

/// The pointer of the value that begins now; the walk moves on behind it.
fn place(stack: &mut [(String, Level)]) -> String {
    match stack.last_mut() {
        None => String::new(),
        Some((pointer, Level::List(index))) => {
            *index += 1;
            child(pointer, &(*index - 1).to_string())
        }
        Some((pointer, Level::Map(key))) => child(pointer, &key.take().unwrap_or_default()),
    }
}

pub(super) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
