//! What all controllers share: following tables, a queue, several keys worked on at a time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use super::cache::Cache;
use super::client::Refusal;
use super::informer::{Change, Informer};
use super::kinds::Kind;
use super::queue::{BackOff, Queue};

/// A control loop: changes put keys into a queue, and each key is brought to where it should be.
pub(crate) trait Controller: Send + Sync + 'static {
    /// For logs, and the `component` of its events.
    const NAME: &'static str;
    /// How many keys are worked on at a time.
    const WORKERS: usize;
    /// What a key waits after a failure.
    const BACK_OFF: BackOff = BackOff::STANDARD;

    /// The tables that it follows; the keys in its queue are those of the first.
    fn follows(&self) -> &'static [&'static Kind];

    /// Puts the keys that a change concerns into the queue.
    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue);

    /// Brings one key to where it should be. After an error it is tried again, after success its back-off starts anew.
    fn sync(&self, key: Arc<str>, queue: &Queue) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Controllers that are about to be started.
pub(crate) struct Runner {
    cache: Arc<Cache>,
    informers: BTreeMap<&'static str, Informer>,
    tasks: JoinSet<()>,
}

impl Runner {
    pub(crate) fn new(cache: Arc<Cache>) -> Runner {
        Runner { cache, informers: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Where a table's changes are told.
    pub(crate) fn informer(&mut self, table: &'static str) -> &mut Informer {
        self.informers.entry(table).or_insert_with(|| Informer { table: table.into(), handlers: Vec::new() })
    }

    /// Adds a task that lives as long as the controllers.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Adds a controller.
    pub(crate) fn add<C: Controller>(&mut self, controller: C) {
        let controller = Arc::new(controller);
        let queue = Arc::new(Queue::new(C::BACK_OFF));
        let follows = controller.follows();
        for kind in follows.iter().copied() {
            let (to, into) = (controller.clone(), queue.clone());
            let informer = self.informer(kind.table);
            informer.handlers.push(Box::new(move |change| to.observe(kind, change, &into)));
        }
        self.tasks.spawn(work(controller, queue));
    }

    /// Starts the informers. Dropping the set ends everything.
    pub(crate) fn start(mut self) -> JoinSet<()> {
        for (_, informer) in self.informers {
            self.tasks.spawn(informer.run(self.cache.store().clone()));
        }
        self.tasks
    }
}

async fn work<C: Controller>(controller: Arc<C>, queue: Arc<Queue>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some((key, result)) = running.next(), if !running.is_empty() => {
                settle::<C>(&queue, &key, result);
                // Syncs that wait for nothing would keep informers and watches from their turn for as long as there are keys.
                tokio::task::consume_budget().await;
            }
            key = queue.next(), if running.len() < C::WORKERS => {
                let (controller, queue) = (controller.clone(), queue.clone());
                running.push(async move {
                    let result = controller.sync(key.clone(), &queue).await;
                    (key, result)
                });
            }
        }
    }
}

fn settle<C: Controller>(queue: &Queue, key: &Arc<str>, result: Result<(), Refusal>) {
    match result {
        Ok(()) => queue.forget(key),
        Err(refusal) => {
            tracing::debug!(controller = C::NAME, %key, %refusal, "will try again");
            queue.add_rate_limited(key.clone());
        }
    }
    queue.done(key);
}
