//! Which representation a client gets: the `Accept` header against what a resource can be shown as.

/// How the object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// What is shown of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object as it is.
    Whole,
    /// `as=Table;g=meta.k8s.io`, in this version.
    Table(&'static str),
    /// `as=PartialObjectMetadata` or `as=PartialObjectMetadataList`, in this version.
    Metadata(&'static str),
}

/// The outcome of content negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
}

/// What an API object can be had as; the text of a 406 lists it (`api-basics/accept-unsupported`).
pub(crate) const OBJECT_FORMATS: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf, \
     application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// Chooses by quality, then by order. `None` is a 406. No `Accept` means JSON. Protobuf is not spoken: the next choice is taken.
pub(crate) fn accept(header: Option<&str>) -> Option<Accepted> {
    let whole_json = Accepted { format: Format::Json, shape: Shape::Whole };
    let header = match header.map(str::trim) {
        None | Some("") => return Some(whole_json),
        Some(header) => header,
    };
    let mut clauses: Vec<(f32, &str)> = header.split(',').map(|clause| (quality(clause), clause.trim())).collect();
    clauses.sort_by(|one, other| other.0.total_cmp(&one.0));
    clauses.into_iter().find_map(|(_, clause)| choose(clause))
}

fn quality(clause: &str) -> f32 {
    let parameter = clause.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    parameter.and_then(|value| value.parse().ok()).unwrap_or(1.0)
}

fn choose(clause: &str) -> Option<Accepted> {
    let mut parts = clause.split(';').map(str::trim);
    let format = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Format::Json,
        "application/yaml" => Format::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        match name {
            "as" => kind = value,
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    let shape = match (kind, group) {
        ("", _) => Shape::Whole,
        ("Table", "meta.k8s.io") => Shape::Table(served(version)?),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") => Shape::Metadata(served(version)?),
        _ => return None,
    };
    Some(Accepted { format, shape })
}

fn served(version: &str) -> Option<&'static str> {
    match version {
        "v1" => Some("v1"),
        "v1beta1" => Some("v1beta1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_that_can_be_served_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accept(Some(table)).unwrap().shape, Shape::Table("v1"));
        assert_eq!(accept(Some("application/vnd.kubernetes.protobuf,application/json")).unwrap().format, Format::Json);
        assert_eq!(accept(Some("application/json;q=0.5, application/yaml")).unwrap().format, Format::Yaml);
        assert_eq!(accept(Some("text/html")), None);
        assert_eq!(accept(Some("application/vnd.kubernetes.protobuf")), None);
        assert_eq!(accept(None).unwrap(), Accepted { format: Format::Json, shape: Shape::Whole });
        assert_eq!(accept(Some("*/*")).unwrap().format, Format::Json);
    }
}
