//! From an answer of the registry to bytes: the negotiated form, headers, streams.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use apimachinery::value::{Value, json};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame as BodyFrame;
use http_body_util::{BodyExt, StreamBody};

use super::negotiate::{Accepted, Format, Shape};
use crate::core::Shared;
use crate::kinds::{Resource, Subresource};
use crate::registry::call::{Content, List, Reply};
use crate::registry::convert;
use crate::registry::watch::{Frame, Watch};
use crate::respond::{Body, add_warnings, empty, full, json_bytes, response, status};
use crate::store::Object;
use crate::table::{self, partial};

/// An answer with all that its representation depends on.
pub(crate) struct Shown {
    pub(crate) reply: Reply,
    pub(crate) accepted: Accepted,
    pub(crate) resource: Arc<Resource>,
    pub(crate) subresource: Option<Subresource>,
    /// The query's `includeObject`, for tables.
    pub(crate) include: String,
    pub(crate) warnings: Vec<String>,
}

/// What every answer carries.
pub(crate) fn common_headers(id: &str, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("audit-id"), id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
}

/// An API object, list, Status or watch in the form that was negotiated; without a body for who only wants to read refusals.
pub(crate) fn object(core: &Shared, shown: Shown, pretty: bool, only_refusals: bool) -> Response<Body> {
    let Shown { reply, accepted, resource, subresource, include, warnings } = shown;
    let view = View { core: core.clone(), resource, subresource, shape: accepted.shape, include };
    if let Shape::Table(_) = view.shape
        && let Err(rejection) = table::check_include(&view.include)
    {
        return status(&rejection, &warnings, pretty);
    }
    let mut answer = match reply.content {
        Content::Empty => {
            let mut answer = Response::new(empty());
            *answer.status_mut() = StatusCode::from_u16(reply.code).unwrap_or(StatusCode::NO_CONTENT);
            answer
        }
        Content::Watch(watch) => watch_stream(view, watch),
        Content::Log(log) => log_stream(log),
        Content::Connect(_) => return status(&crate::registry::connect::upgrade_required(), &warnings, pretty),
        _ if only_refusals && reply.code < 300 => response(reply.code, "application/json", empty()),
        content => {
            let (content_type, bytes) = view.encode(&content, accepted.format, pretty);
            response(reply.code, content_type, full(bytes))
        }
    };
    add_warnings(&mut answer, &warnings);
    answer
}

/// How a client sees objects: in the version of its path, whole, as metadata, or as table rows.
struct View {
    core: Shared,
    resource: Arc<Resource>,
    subresource: Option<Subresource>,
    shape: Shape,
    include: String,
}

impl View {
    fn encode(&self, content: &Content, format: Format, pretty: bool) -> (&'static str, Bytes) {
        if let (Content::Stored(object), Format::Json, Shape::Whole, false) = (content, format, self.shape, pretty)
            && self.is_stored_version()
        {
            return ("application/json", object.json());
        }
        let value = match content {
            Content::Stored(object) => Cow::Owned(self.one(&object.whole()).into_owned()),
            Content::Value(value) => self.one(value),
            Content::List(list) => Cow::Owned(self.list(list)),
            Content::Status(status) => Cow::Borrowed(status),
            Content::Watch(_) | Content::Log(_) | Content::Connect(_) | Content::Empty => Cow::Owned(Value::Null),
        };
        match format {
            Format::Json => ("application/json", json_bytes(&value, pretty).into()),
            Format::Yaml => ("application/yaml", apimachinery::yaml::to_string(&value).into()),
        }
    }

    fn is_stored_version(&self) -> bool {
        self.subresource.is_none() && self.resource.gvk == self.resource.storage
    }

    /// The object in the version that the client asked for.
    fn convert<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        if self.is_stored_version() || self.subresource.as_ref().is_some_and(|subresource| subresource.foreign) {
            return Cow::Borrowed(value);
        }
        Cow::Owned(convert::to_version(value, &self.resource.gvk))
    }

    fn one<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        if value["kind"] == "Status" && value["apiVersion"] == "v1" {
            return Cow::Borrowed(value);
        }
        match self.shape {
            Shape::Whole => self.convert(value),
            Shape::Metadata(version) => Cow::Owned(partial(value, version)),
            Shape::Table(version) => {
                let converted = self.convert(value);
                let revision = value["metadata"]["resourceVersion"].clone();
                let now = self.core.clock.now();
                let metadata = json!({"resourceVersion": revision});
                Cow::Owned(table::render(&self.resource, &[&converted], metadata, version, &self.include, now, true))
            }
        }
    }

    fn list(&self, list: &List) -> Value {
        let mut metadata = json!({"resourceVersion": list.revision.to_string()});
        if let Some(token) = &list.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        if let Some(remaining) = list.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        match self.shape {
            Shape::Table(version) => {
                let whole: Vec<_> = list.items.iter().map(|object| object.whole()).collect();
                let converted: Vec<_> = whole.iter().map(|object| self.convert(object)).collect();
                let objects: Vec<&Value> = converted.iter().map(|object| &**object).collect();
                table::render(&self.resource, &objects, metadata, version, &self.include, self.core.clock.now(), true)
            }
            Shape::Metadata(version) => {
                let items: Vec<Value> = list.items.iter().map(|object| partial(&object.whole(), version)).collect();
                json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": metadata, "items": items,
                })
            }
            Shape::Whole => {
                let items: Vec<Value> =
                    list.items.iter().map(|object| bare(self.convert(&object.whole()).into_owned())).collect();
                json!({
                    "kind": format!("{}List", self.resource.gvk.kind), "apiVersion": self.resource.gvk.api_version(),
                    "metadata": metadata, "items": items,
                })
            }
        }
    }

    /// One line of a watch.
    fn event(&self, frame: &Frame, first: bool) -> Vec<u8> {
        let (event_type, object) = match frame {
            Frame::Event(event_type, object) => {
                if self.shape == Shape::Whole && self.is_stored_version() {
                    return raw_event(event_type, object);
                }
                let object = match self.shape {
                    Shape::Table(version) => {
                        let whole = object.whole();
                        let converted = self.convert(&whole);
                        let metadata = json!({"resourceVersion": object.meta("resourceVersion")});
                        let now = self.core.clock.now();
                        table::render(&self.resource, &[&converted], metadata, version, &self.include, now, first)
                    }
                    _ => self.one(&object.whole()).into_owned(),
                };
                (*event_type, object)
            }
            Frame::Bookmark(revision, end) => {
                let mut zero = convert::zero(&self.resource);
                zero["metadata"]["resourceVersion"] = revision.to_string().into();
                if *end {
                    zero["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                }
                let object = match self.shape {
                    Shape::Whole => zero,
                    Shape::Metadata(version) => partial(&zero, version),
                    Shape::Table(version) => {
                        let metadata = json!({"resourceVersion": revision.to_string()});
                        table::render(
                            &self.resource,
                            &[&zero],
                            metadata,
                            version,
                            &self.include,
                            self.core.clock.now(),
                            first,
                        )
                    }
                };
                ("BOOKMARK", object)
            }
            Frame::Error(status) => ("ERROR", status.clone()),
        };
        let mut line = json_bytes(&json!({"type": event_type, "object": object}), false);
        line.push(b'\n');
        line
    }
}

/// An event whose object's JSON is shared with every other watcher.
fn raw_event(event_type: &str, object: &Object) -> Vec<u8> {
    let json = object.json();
    let mut line = Vec::with_capacity(json.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(event_type.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(&json);
    line.extend_from_slice(b"}\n");
    line
}

fn watch_stream(view: View, watch: Watch) -> Response<Body> {
    let events = stream::unfold((view, watch, true), |(view, mut watch, first)| async move {
        let frame = watch.next().await?;
        let line = view.event(&frame, first);
        Some((Ok::<_, Infallible>(BodyFrame::data(Bytes::from(line))), (view, watch, false)))
    });
    response(200, "application/json", StreamBody::new(events).boxed_unsync())
}

/// List items carry neither kind nor apiVersion.
fn bare(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}

/// A log as it comes.
fn log_stream(log: Box<crate::registry::logs::Log>) -> Response<Body> {
    let frames = stream::unfold(log, |mut log| async move {
        let piece = log.next().await?;
        Some((Ok::<_, Infallible>(BodyFrame::data(Bytes::from(piece))), log))
    });
    response(200, "text/plain", StreamBody::new(frames).boxed_unsync())
}
