//! Real clients, unmodified: kube-rs in this process, kubectl and the Python client as programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod kube_rs;
mod kubectl;
mod operator;
mod program;
mod python;

use std::fmt::Debug;
use std::time::Duration;

use kube::Api;
use kube::runtime::wait::{Condition, await_condition};
use serde::de::DeserializeOwned;

/// Waits until an object meets a condition, and gives it as it is then; ten minutes at most, of whatever clock there is.
async fn meets<K>(api: Api<K>, name: &str, condition: impl Condition<K>) -> Option<K>
where
    K: kube::Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let met = tokio::time::timeout(Duration::from_secs(600), await_condition(api.clone(), name, condition)).await;
    match met {
        Ok(object) => object.unwrap(),
        Err(_) => panic!("{name} never met the condition: {:#?}", api.get_opt(name).await),
    }
}
