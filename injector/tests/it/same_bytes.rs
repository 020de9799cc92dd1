//! The same review gets the same bytes: over thousands of renderings, several injectors, several threads, from the answers
//! kept for pods of one owner and without them. The bench `ratios` does the same ten thousand times with the modern
//! configuration in the box.

use std::sync::atomic::{AtomicUsize, Ordering};

use apimachinery::value::json;
use injector::Injector;

use crate::{settings, support};

/// Renderings of one ConfigMap.
const RENDERINGS: usize = 10_000;
/// Renderings of all configurations together; the first quarter of each is computed by another injector.
const OF_ALL: usize = 2_000;
const THREADS: usize = 4;

fn body() -> Vec<u8> {
    let mut pod = support::pod();
    pod["metadata"]["annotations"] = json!({
        "prometheus.io/scrape": "true", "proxy.istio.io/config": "{proxyMetadata: {B: b, A: a, C: c}, concurrency: 2}",
        "sidecar.istio.io/proxyCPU": "100m", "z": "1", "a": "2",
    });
    pod["spec"]["containers"][0]["env"] = (0..5).map(|n| json!({ "name": format!("V{n}"), "value": "x" })).collect();
    pod["spec"]["containers"][0]["readinessProbe"] = json!({ "httpGet": { "path": "/", "port": 8080 } });
    support::review("shop", &pod).to_string().into_bytes()
}

/// Small, but with what could come in another order each time: maps that a template walks through and prints.
const ONE: &str = r#"
policy: enabled
template: |
  containers:
  - name: istio-proxy
    image: proxy:1.0.6
    env:
  [[- range $key, $value := .ObjectMeta.Labels ]]
    - name: [[ $key ]]
      value: "[[ $value ]]"
  [[- end ]]
    - name: ALL
      value: '[[ toJson .ObjectMeta.Annotations ]]'
"#;

#[test]
fn ten_thousand_renderings_of_one_config_map_give_the_same_bytes() {
    let pod = json!({
        "metadata": {
            "labels": { "d": "1", "b": "2", "a": "3", "c": "4" },
            "annotations": { "z": "1", "y": "2", "x": "3" }
        },
        "spec": { "containers": [{ "name": "web", "image": "web:1" }] }
    });
    let body = support::review("shop", &pod).to_string().into_bytes();
    let settings = injector::config::Settings { inject_config: ONE.to_owned(), ..Default::default() };
    let wanted = Injector::load(settings.clone()).unwrap().review_uncached(&body, "/inject");
    assert_eq!(wanted.outcome.word(), "injected");
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let injector = Injector::load(settings.clone()).unwrap();
                for _ in 0..RENDERINGS / THREADS {
                    assert!(injector.review_uncached(&body, "/inject").body == wanted.body);
                }
            });
        }
    });
}

#[test]
fn renderings_of_every_configuration_give_the_same_bytes() {
    let (all, body, renderings) = (settings::all(), body(), AtomicUsize::new(0));
    let each = OF_ALL.div_ceil(all.len() * THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (body, renderings) = (&body, &renderings);
            scope.spawn(move || {
                for loaded in all {
                    let wanted = loaded.injector.review_uncached(body, "/inject").body;
                    let own = (thread == 0).then(|| Injector::load(loaded.settings.clone()).unwrap());
                    let injector = own.as_ref().unwrap_or(&loaded.injector);
                    for _ in 0..each {
                        assert!(injector.review_uncached(body, "/inject").body == wanted, "{}", loaded.name);
                        assert!(injector.review(body, "/inject").body == wanted, "{}: kept", loaded.name);
                    }
                    renderings.fetch_add(each, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(renderings.into_inner() >= OF_ALL);
}
