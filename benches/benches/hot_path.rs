//! Time on the way of a review through the injector, stage by stage and whole.
//!
//! `cargo bench -p benches` for everything, `cargo bench -p benches -- review/` for one group.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench: criterion's macros write functions, and nothing may fail"
)]

use std::hint::black_box;
use std::sync::Arc;

use admission::review::AdmissionReview;
use apimachinery::value::Value;
use apimachinery::{json_patch, merge, schema, yaml};
use benches::{cases, injector, large, review};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use injector::boxed::ALL;
use injector::serve::{self, Options, Source, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// The envelope alone, and the object with it.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for case in cases() {
        let body = review(&case.pod, UID);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("envelope", case.name), &body, |bencher, body| {
            bencher.iter(|| AdmissionReview::decode(black_box(body)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("object", case.name), &body, |bencher, body| {
            bencher.iter(|| {
                let review = AdmissionReview::decode(black_box(body)).unwrap();
                serde_json::from_str::<Value>(review.request.object.unwrap().get()).unwrap()
            });
        });
    }
}

/// A pod that is left alone: only the rules are looked at.
fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for boxed in &ALL {
        let injector = injector(boxed).unwrap();
        let mut pod = large::ordinary();
        pod["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false".into();
        assert!(!injector.inject_object(&pod, "shop", "/inject").unwrap().decision.inject);
        group.bench_function(boxed.name, |bencher| {
            bencher.iter(|| injector.inject_object(black_box(&pod), "shop", "/inject").unwrap());
        });
    }
}

/// The text that a template prints, as YAML, and laid over the pod.
fn overlay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("overlay");
    let injector = injector(&ALL[1]).unwrap();
    for case in cases() {
        let injected = injector.inject_object(&case.pod, "shop", "/inject").unwrap();
        let patch = json_patch::Patch::parse(&injector::patch::to_bytes(&injected.patch)).unwrap();
        let after = patch.apply(case.pod.clone()).unwrap();
        let mut rendered = after.clone();
        rendered["spec"]["containers"].as_array_mut().unwrap().retain(|container| container["name"] == "istio-proxy");
        let text = yaml::to_string(&rendered);
        if case.name == "ordinary" {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function("yaml", |bencher| bencher.iter(|| yaml::parse(black_box(&text)).unwrap()));
        }
        group.bench_with_input(BenchmarkId::new("merge", case.name), &rendered, |bencher, rendered| {
            bencher.iter_batched(
                || (case.pod.clone(), rendered.clone()),
                |(pod, rendered)| merge::strategic(pod, rendered, schema::pod()).unwrap(),
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

/// From an object to operations and their bytes.
fn inject(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inject");
    for boxed in &ALL {
        let injector = injector(boxed).unwrap();
        for case in cases() {
            group.bench_with_input(BenchmarkId::new(boxed.name, case.name), &case.pod, |bencher, pod| {
                bencher.iter(|| injector.inject_object(black_box(pod), "shop", "/inject").unwrap());
            });
        }
        let patch = injector.inject_object(&large::ordinary(), "shop", "/inject").unwrap().patch;
        group.bench_function(BenchmarkId::new(boxed.name, "patch bytes"), |bencher| {
            bencher.iter(|| injector::patch::to_bytes(black_box(&patch)));
        });
    }
}

/// From the bytes of a request to those of the answer: for a pod never seen, and for the next one of its ReplicaSet.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("review");
    for boxed in &ALL {
        let injector = injector(boxed).unwrap();
        for case in cases() {
            let body = review(&case.pod, UID);
            group.bench_with_input(BenchmarkId::new(boxed.name, case.name), &body, |bencher, body| {
                bencher.iter(|| injector.review_uncached(black_box(body), "/inject"));
            });
        }
        // Another uid each time, as the pods of a ReplicaSet come.
        let bodies: Vec<Vec<u8>> = (0..64)
            .map(|number| review(&large::ordinary(), &format!("705ab4f5-6393-11e8-b7cc-4201{number:08}")))
            .collect();
        let mut next = bodies.iter().cycle();
        group.bench_function(BenchmarkId::new(boxed.name, "next of the ReplicaSet"), |bencher| {
            bencher.iter(|| injector.review(black_box(next.next().unwrap()), "/inject"));
        });
    }
}

/// One call over an open TLS connection on the loopback interface, HTTP/1.1.
fn tls(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::generate_simple_self_signed(names).unwrap();
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let source = Source::Fixed(Arc::new(injector(&ALL[1]).unwrap()));
    let tls = Tls::Pem { certificate: pem.clone(), key };
    let server = runtime.block_on(serve::start(Options::new(source, tls))).unwrap();
    let mut sender = runtime.block_on(async {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    });
    let mut group = criterion.benchmark_group("tls");
    for case in cases() {
        let body = Bytes::from(review(&case.pod, UID));
        group.bench_function(BenchmarkId::new("round trip", case.name), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    sender.ready().await.unwrap();
                    let request = http::Request::post("/inject")
                        .header("host", "localhost")
                        .header("content-type", "application/json")
                        .body(Full::new(body.clone()))
                        .unwrap();
                    let response = sender.send_request(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    response.into_body().collect().await.unwrap()
                })
            });
        });
    }
    group.finish();
    drop(server);
}

criterion_group!(benches, decode, decide, overlay, inject, whole, tls);
criterion_main!(benches);
