//! watch: the events of a table since a revision, through a client's selectors.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::Resource;
use super::call::{Call, Content, Reply};
use super::read::{check_list_options, revision};
use super::selectors::Filter;
use crate::admission::Rejection;
use crate::core::Shared;
use crate::store::{Event, EventType, Object};

/// How often a bookmark is sent to those who asked for them.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// How long before its end a watch sends its last bookmark.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// The shortest that a watch without `timeoutSeconds` lasts.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);

/// One thing to send.
pub(crate) enum Frame {
    /// An event; a DELETED object that only left the selection is shown as it was before.
    Event(&'static str, Arc<Object>),
    /// A BOOKMARK at this revision; `true` marks the end of the initial events.
    Bookmark(u64, bool),
    /// The last event: an ERROR with this Status.
    Error(Value),
}

/// A watch that a client follows.
pub(crate) struct Watch {
    pub(crate) resource: Arc<Resource>,
    core: Shared,
    changed: Receiver<u64>,
    filter: Filter,
    namespace: String,
    /// Everything up to here was sent or passed over.
    cursor: u64,
    pending: VecDeque<Frame>,
    end: Instant,
    next_bookmark: Option<Instant>,
    failed: bool,
}

/// GET of a collection with `watch`.
pub(crate) fn watch(core: &Shared, call: &Call) -> Result<Reply, Rejection> {
    check_list_options(call)?;
    let filter = Filter::parse(call)?;
    // An invalid revision is not a 400 here, as it is for a list (`api-basics/watch-bad-rv`).
    let asked = revision(call).map_err(|text| Rejection::unknown(&text))?;
    let seconds = call.query.int("timeoutSeconds").map_err(|text| Rejection::bad_request(&text))?;
    let timeout = match seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => MIN_TIMEOUT + Duration::from_secs(core.random.below(MIN_TIMEOUT.as_secs())),
    };
    let table = &call.resource.table;
    let changed = core.store.subscribe(table);
    let mut pending = VecDeque::new();
    let mut cursor = asked;
    let initial = call.query.flag("sendInitialEvents");
    let wants_state = call.query.find("sendInitialEvents").is_none() && asked == 0;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    if initial || wants_state {
        let (objects, revision) = core.store.list(table, &call.namespace);
        let selected = objects.into_iter().filter(|object| filter.matches(object));
        pending.extend(selected.map(|object| Frame::Event("ADDED", object)));
        if initial && bookmarks {
            pending.push_back(Frame::Bookmark(revision, true));
        }
        cursor = revision;
    } else if asked == 0 {
        cursor = core.store.revision();
    }
    let now = Instant::now();
    let mut watch = Watch {
        resource: call.resource.clone(),
        core: core.clone(),
        changed,
        filter,
        namespace: call.namespace.clone(),
        cursor,
        pending,
        end: now + timeout,
        next_bookmark: None,
        failed: false,
    };
    if bookmarks {
        watch.schedule_bookmark(now);
    }
    Ok(Reply::ok(Content::Watch(watch)))
}

impl Watch {
    /// The next frame; `None` at the end of the watch. Safe to drop and call again.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(frame);
            }
            if self.failed {
                return None;
            }
            self.changed.mark_unchanged();
            match self.core.store.events_after(&self.resource.table, self.cursor) {
                Ok(events) => self.take(&events),
                Err(expired) => {
                    self.failed = true;
                    return Some(Frame::Error(self.expired(expired.oldest)));
                }
            }
            if !self.pending.is_empty() {
                continue;
            }
            let bookmark = self.next_bookmark.unwrap_or(self.end);
            tokio::select! {
                changed = self.changed.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(self.end) => return None,
                () = tokio::time::sleep_until(bookmark), if bookmark < self.end => {
                    self.schedule_bookmark(Instant::now());
                    // Nothing newer than the cursor is pending for this table: the whole store's revision was seen.
                    let seen = self.core.store.revision();
                    if self.core.store.events_after(&self.resource.table, self.cursor).is_ok_and(|events| events.is_empty()) {
                        self.cursor = self.cursor.max(seen);
                        return Some(Frame::Bookmark(self.cursor, false));
                    }
                }
            }
        }
    }

    /// Every minute, and a last one shortly before the end.
    fn schedule_bookmark(&mut self, now: Instant) {
        let regular = now + BOOKMARK_EVERY;
        let last = self.end.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(now);
        self.next_bookmark = Some(if last > now && regular > last { last } else { regular });
    }

    fn take(&mut self, events: &[Arc<Event>]) {
        for event in events {
            self.cursor = event.revision;
            if !self.namespace.is_empty() && event.object.namespace() != self.namespace {
                continue;
            }
            let now = event.event_type != EventType::Deleted && self.filter.matches(&event.object);
            let before = event.previous.as_ref().is_some_and(|previous| self.filter.matches(previous));
            let frame = match (before, now) {
                (false, false) => continue,
                (false, true) => Frame::Event("ADDED", event.object.clone()),
                (true, true) => Frame::Event("MODIFIED", event.object.clone()),
                (true, false) => Frame::Event("DELETED", self.last_seen(event)),
            };
            self.pending.push_back(frame);
        }
    }

    /// What a client is shown of an object that is gone, or gone from its selection: the last state that it selected, with the
    /// revision of the event (`api-basics/watch-label`).
    fn last_seen(&self, event: &Event) -> Arc<Object> {
        match &event.previous {
            Some(previous) if event.event_type == EventType::Modified => Arc::new(previous.at(event.revision)),
            _ => event.object.clone(),
        }
    }

    fn expired(&self, oldest: u64) -> Value {
        // Events are read from etcd, everything else from the watch cache; the texts differ.
        let message = if &*self.resource.table == "events" {
            "The resourceVersion for the provided watch is too old.".to_owned()
        } else {
            format!("too old resource version: {} ({oldest})", self.cursor)
        };
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": "Expired", "code": 410})
    }
}
