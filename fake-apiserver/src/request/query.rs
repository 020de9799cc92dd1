//! Query parameters, decoded the way the API machinery decodes its option structs.

use std::num::IntErrorKind;

/// The parameters of a request in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=b&c=d`; `+` is a blank, broken percent escapes stay as they are.
    pub(crate) fn parse(text: &str) -> Query {
        let parameters = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name, true), decode(value, true))
        });
        Query { parameters: parameters.collect() }
    }

    /// The first value of a parameter, `""` if it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The first value of a parameter.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A boolean: absent, `false` (in any case) and `0` are false, everything else is true (`api-basics/watch-abc`), also a
    /// parameter without value.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// A whole number. The error is the text that Go's strconv gives.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, String> {
        match self.find(name) {
            None | Some("") => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|error: std::num::ParseIntError| {
                let trouble = match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                format!("strconv.ParseInt: parsing {value:?}: {trouble}")
            }),
        }
    }
}

/// Undoes percent encoding; `plus` also turns `+` into a blank.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
            continue;
        }
        out.push(if plus && bytes[at] == b'+' { b' ' } else { bytes[at] });
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("labelSelector=app%20in%20(a%2Cb)&watch=abc&limit=x&force=FALSE&pretty&n=+1&bad=%zz%");
        assert_eq!(query.get("labelSelector"), "app in (a,b)");
        assert!(query.flag("watch") && query.flag("pretty") && !query.flag("force") && !query.flag("absent"));
        assert_eq!(query.int("limit").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(query.get("n"), " 1");
        assert_eq!(query.get("bad"), "%zz%");
    }
}
