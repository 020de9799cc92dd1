//! From parser events to JSON values.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::value::{Map, Unordered, Value};
use base64::Engine;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::scalar::{self, Scalar};
use super::{Document, Error, MAX_ALIAS_BYTES, MAX_DEPTH};
use crate::go;

/// The documents of a text, read one at a time; see [`super::documents`].
pub struct Documents<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// Characters of `text`, counted when first needed.
    characters: Option<usize>,
    ended: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Documents { text, parser: Parser::new_from_str(text), characters: None, ended: false }
    }

    /// Whether a block scalar that ends at `end` runs into the end of a text that lacks its last line break. The parser
    /// adds that line break, libyaml (and so go-yaml) does not.
    fn unfinished_line(&mut self, end: &Marker) -> bool {
        !self.text.ends_with(['\n', '\r'])
            && end.index() >= *self.characters.get_or_insert_with(|| self.text.chars().count())
    }

    fn event(&mut self) -> Option<Result<(Event<'a>, Span), Error>> {
        self.parser.next_event().map(|event| event.map_err(Error::from))
    }

    /// The document whose start was just read.
    fn document(&mut self, start: Marker) -> Result<Document, Error> {
        let mut loader = Loader::default();
        let mut line = None;
        loop {
            let Some(event) = self.event() else { return Err(error(start, "the text ends within a document")) };
            let (event, span) = event?;
            if let Event::DocumentEnd = event {
                let value = loader.root.unwrap_or_default();
                return Ok(Document { line: line.unwrap_or(start.line()), value });
            }
            line.get_or_insert(span.start.line());
            let whole = match &event {
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => !self.unfinished_line(&span.end),
                _ => true,
            };
            loader.event(event, span.start, whole)?;
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let item = match self.event() {
                None | Some(Ok((Event::StreamEnd, _))) => {
                    self.ended = true;
                    return None;
                }
                Some(Ok((Event::DocumentStart(_), span))) => self.document(span.start),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Err(error),
            };
            self.ended = item.is_err();
            return Some(item);
        }
        None
    }
}

impl From<ScanError> for Error {
    fn from(source: ScanError) -> Self {
        error(*source.marker(), source.info())
    }
}

fn error(at: Marker, message: impl Into<String>) -> Error {
    Error { line: at.line(), column: at.col() + 1, message: message.into() }
}

/// Builds one value from events, with a stack of its own instead of recursion.
#[derive(Default)]
struct Loader {
    stack: Vec<Frame>,
    root: Option<Value>,
    anchors: HashMap<usize, Value>,
    /// Bytes that anchors and aliases have copied so far.
    copied: usize,
}

/// A container that is being filled.
struct Frame {
    anchor: usize,
    kind: Container,
}

enum Container {
    List(Vec<Value>),
    Map { fields: Unordered, key: Option<Key> },
}

enum Key {
    Name(String),
    /// `<<`: the value's fields belong to this mapping.
    Merge,
}

impl Loader {
    /// Takes one event; `whole` is false for a block scalar whose last line break is not in the text.
    fn event(&mut self, event: Event<'_>, at: Marker, whole: bool) -> Result<(), Error> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let text = match text.strip_suffix('\n') {
                    Some(shorter) if !whole => Cow::Borrowed(shorter),
                    _ => Cow::Borrowed(text.as_ref()),
                };
                if anchor == 0 && tag.is_none() && self.wants_key() {
                    let key = key(&text, plain, at)?;
                    self.set_key(key);
                    return Ok(());
                }
                let value = typed(&text, plain, tag.as_deref(), at)?;
                self.add(value, anchor, at)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Container::List(Vec::new()), at),
            Event::MappingStart(anchor, _) => {
                self.open(anchor, Container::Map { fields: Unordered::default(), key: None }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Frame { anchor, kind }) = self.stack.pop() else { return Ok(()) };
                let value = match kind {
                    Container::List(items) => Value::from(items),
                    Container::Map { fields, .. } => Value::Object(fields.into_map()),
                };
                self.add(value, anchor, at)
            }
            Event::Alias(anchor) => {
                let Some(value) = self.anchors.get(&anchor).cloned() else {
                    return Err(error(at, "anchor's value contains itself"));
                };
                self.account(&value, at)?;
                self.add(value, 0, at)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn open(&mut self, anchor: usize, kind: Container, at: Marker) -> Result<(), Error> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(error(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.stack.push(Frame { anchor, kind });
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { kind: Container::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Frame { kind: Container::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some(new);
        }
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, value: Value, anchor: usize, at: Marker) -> Result<(), Error> {
        if anchor != 0 {
            self.account(&value, at)?;
            self.anchors.insert(anchor, value.clone());
        }
        match self.stack.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(value),
            Some(Container::List(items)) => items.push(value),
            Some(Container::Map { fields, key }) => match key.take() {
                None => *key = Some(Key::Name(key_text(&value, at)?)),
                Some(Key::Name(name)) => fields.push(name, value),
                Some(Key::Merge) => merge(fields, value, at)?,
            },
        }
        Ok(())
    }

    /// Counts a copy of `value` against what aliases may add.
    fn account(&mut self, value: &Value, at: Marker) -> Result<(), Error> {
        self.copied = self.copied.saturating_add(size(value));
        if self.copied > MAX_ALIAS_BYTES {
            return Err(error(at, "document contains excessive aliasing"));
        }
        Ok(())
    }
}

/// Bytes of memory that `value` takes, roughly.
fn size(value: &Value) -> usize {
    const NODE: usize = size_of::<Value>();
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| NODE + key.len() + size(value)).sum(),
        _ => 0,
    }
}

/// `<<`: the fields of a mapping, or of several, the first of which wins.
fn merge(fields: &mut Unordered, value: Value, at: Marker) -> Result<(), Error> {
    let wrong = || error(at, "map merge requires map or sequence of maps as the value");
    let mut take = |more: Map| more.into_iter().for_each(|(name, value)| fields.push(name, value));
    match value {
        Value::Object(more) => take(more),
        Value::Array(maps) => {
            for map in maps.into_iter().rev() {
                let Value::Object(more) = map else { return Err(wrong()) };
                take(more);
            }
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// A scalar in the place of a key.
fn key(text: &str, plain: bool, at: Marker) -> Result<Key, Error> {
    if !plain {
        return Ok(Key::Name(text.to_owned()));
    }
    if text == "<<" {
        return Ok(Key::Merge);
    }
    Ok(Key::Name(match scalar::resolve(text) {
        Scalar::String | Scalar::Timestamp => text.to_owned(),
        Scalar::Bool(yes) => yes.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Uint(number) => number.to_string(),
        Scalar::Float(number) => float_key(number),
        Scalar::Null => return Err(error(at, "unsupported map key of type null")),
    }))
}

/// A value in the place of a key: only scalars with a tag or an anchor, and aliases, come here.
fn key_text(value: &Value, at: Marker) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => Ok(float_key(float)),
            _ => Ok(number.to_string()),
        },
        Value::Null => Err(error(at, "unsupported map key of type null")),
        Value::Array(_) => Err(error(at, "invalid map key: a sequence")),
        Value::Object(_) => Err(error(at, "invalid map key: a mapping")),
    }
}

/// Keys are printed with the digits of a 32 bit number, as `sigs.k8s.io/yaml` does.
fn float_key(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() }
    } else {
        go::general(&format!("{:e}", number as f32), 6)
    }
}

/// A scalar in the place of a value.
fn typed(text: &str, plain: bool, tag: Option<&Tag>, at: Marker) -> Result<Value, Error> {
    let wanted = match tag {
        Some(tag) if tag.handle == "tag:yaml.org,2002:" => Some(tag.suffix.as_str()),
        // A lone `!` makes a plain scalar a string; what an application's own tag means nobody here knows.
        Some(_) => Some("str"),
        None if !plain => Some("str"),
        None => None,
    };
    let found = match wanted {
        Some("str") => return Ok(Value::from(text)),
        Some("binary") => return binary(text, at),
        Some("int" | "float" | "bool" | "null" | "timestamp") | None => scalar::resolve(text),
        Some(_) => return Ok(Value::from(text)),
    };
    let fits = matches!(
        (wanted, found),
        (None, _)
            | (Some("int"), Scalar::Int(_) | Scalar::Uint(_))
            | (Some("float"), Scalar::Float(_) | Scalar::Int(_) | Scalar::Uint(_))
            | (Some("bool"), Scalar::Bool(_))
            | (Some("null"), Scalar::Null)
            | (Some("timestamp"), Scalar::Timestamp)
    );
    if !fits {
        let (found, wanted) = (found.tag(), wanted.unwrap_or_default());
        return Err(error(at, format!("cannot decode {found} `{text}` as a !!{wanted}")));
    }
    Ok(match found {
        Scalar::Null => Value::Null,
        Scalar::Bool(yes) => Value::Bool(yes),
        Scalar::Int(number) => Value::from(number),
        Scalar::Uint(number) => Value::from(number),
        Scalar::Float(number) => Value::Number(
            scalar::json_number(number).ok_or_else(|| error(at, format!("`{text}` cannot be written as JSON")))?,
        ),
        Scalar::Timestamp | Scalar::String => Value::from(text),
    })
}

fn binary(text: &str, at: Marker) -> Result<Value, Error> {
    let packed: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| error(at, "!!binary value contains invalid base64 data"))?;
    Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()))
}
