use std::path::Path;
use std::sync::mpsc;

use super::super::{Error, Reader, logs};
use super::*;

fn options(directory: &Path) -> Options {
    Options::new(directory.to_owned(), None, Clock::at(1_795_333_389_123_456))
}

fn exchange(body: &str) -> Exchange {
    Exchange {
        began: Timestamp::from_unix_micros(1_795_333_389_123_456),
        took: Duration::from_micros(250),
        method: "POST".into(),
        path: "/inject".into(),
        query: "timeout=10s".into(),
        headers: vec![("Host".into(), "h".into())],
        body: Bytes::copy_from_slice(body.as_bytes()),
        answer: Some(Answered { status: 200, headers: Vec::new(), body: Bytes::from_static(b"{}") }),
    }
}

/// Long enough that only a fault runs into it.
const FAR: Duration = Duration::from_secs(60);

fn read(directory: &Path) -> Vec<Record> {
    let files = logs(directory).unwrap_or_default();
    files.iter().flat_map(|file| Reader::open(file).unwrap()).map(Result::unwrap).collect()
}

#[test]
fn what_was_handed_over_is_in_the_files_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(options(directory.path()), |_| {}).unwrap();
    for n in 0..1000 {
        recorder.record(exchange(&format!("{{\"n\":{n}}}")));
    }
    assert!(recorder.flush(FAR));
    let counts = recorder.counts();
    assert_eq!((counts.offered, counts.written, counts.dropped, counts.queued), (1000, 1000, 0, 0));
    let records = read(directory.path());
    assert_eq!(records.len(), 1000, "before the recording ended");
    assert!(records.iter().zip(0..).all(|(record, n)| record.body == format!("{{\"n\":{n}}}") && record.seq == n + 1));
    assert_eq!(records[0].time.as_deref(), Some("2026-11-22T07:43:09.123456Z"));
    recorder.record(exchange("1"));
    assert_eq!(recorder.close().written, 1001, "the rest is written at the end");
    recorder.record(exchange("2"));
    assert_eq!(recorder.counts().dropped, 1, "nobody writes any more");
    assert_eq!(read(directory.path()).len(), 1001);
}

#[test]
fn files_end_by_size_and_sort_by_time_and_are_never_written_over() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd(1)] {
        let directory = tempfile::tempdir().unwrap();
        for run in 0..2 {
            let options = Options { max_bytes: 2000, compression, ..options(directory.path()) };
            let recorder = Recorder::start(options, |_| {}).unwrap();
            for n in 0..20 {
                recorder.record(exchange(&format!("{}", run * 20 + n)));
                assert!(recorder.flush(FAR));
            }
            let counts = recorder.close();
            assert!(counts.files > 1, "{compression:?}: {counts:?}");
        }
        let files = logs(directory.path()).unwrap();
        assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 2000));
        // Both runs began at the same microsecond of their clocks: names differ all the same.
        let mut bodies: Vec<u32> = read(directory.path()).iter().map(|record| record.body.parse().unwrap()).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn files_end_by_age_and_the_oldest_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut segments = Segments::new(Rotation {
        directory: directory.path().to_owned(),
        compression: Compression::None,
        max_bytes: 1 << 20,
        max_age: Duration::from_secs(60),
        max_files: Some(3),
        fsync: Fsync::Interval(Duration::from_secs(1)),
    });
    let at = |second: i64| Timestamp::from_unix_micros(1_795_333_389_000_000 + second * 1_000_000);
    segments.append(b"{\"body\":\"0\"}\n", at(0)).unwrap();
    segments.append(b"{\"body\":\"1\"}\n", at(59)).unwrap();
    segments.tick(at(59)).unwrap();
    assert_eq!(segments.begun(), 1);
    segments.append(b"{\"body\":\"2\"}\n", at(60)).unwrap();
    assert_eq!(segments.begun(), 2);
    segments.tick(at(120)).unwrap();
    segments.tick(at(500)).unwrap();
    assert_eq!(segments.begun(), 2, "nothing to write, no file");
    for n in 10..13 {
        segments.append(format!("{{\"body\":\"{n}\"}}\n").as_bytes(), at(n * 100)).unwrap();
    }
    assert_eq!(
        read(directory.path()).iter().map(|record| record.body.as_str()).collect::<Vec<_>>(),
        ["10", "11", "12"]
    );
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let queue = Queue::new(3, 10_000);
    assert!((0..3).all(|_| queue.offer(exchange("x"))));
    assert!(!queue.offer(exchange("x")), "three records at most");
    assert_eq!(queue.take(Duration::ZERO).exchanges.len(), 3);
    assert!(!queue.offer(exchange(&"x".repeat(10_000))), "so many bytes at most");
    assert!(queue.offer(exchange("x")));
    queue.stop();
    assert!(!queue.offer(exchange("x")));
}

#[test]
fn trouble_is_told_once_tried_again_and_its_end_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("log");
    let (send, notices) = mpsc::channel();
    let options = Options { retry_after: Duration::from_millis(1), max_queue: 10, ..options(&place) };
    let recorder = Recorder::start(options, move |notice| send.send(notice).unwrap()).unwrap();
    // The directory goes: what was not begun cannot be begun. It comes back only after some attempts.
    std::fs::remove_dir(&place).unwrap();
    recorder.record(exchange("1"));
    let Notice::Failing { message } = notices.recv().unwrap() else { panic!("told first that it fails") };
    assert!(message.contains("log: No such file"), "{message}");
    for _ in 0..50 {
        recorder.record(exchange("2"));
    }
    assert!(!recorder.flush(Duration::from_millis(20)));
    assert!(recorder.counts().dropped >= 40 && recorder.counts().errors > 1, "{:?}", recorder.counts());
    std::fs::create_dir(&place).unwrap();
    assert!(matches!(notices.recv().unwrap(), Notice::Recovered { dropped } if dropped >= 40));
    let counts = recorder.close();
    assert_eq!(counts.written + counts.dropped, 51);
    assert_eq!(read(&place).len() as u64, counts.written);
    assert!(notices.try_recv().is_err(), "each is told once");
}

#[test]
fn a_recording_in_trouble_ends_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("log");
    let recorder = Recorder::start(Options { retry_after: FAR, ..options(&place) }, |_| {}).unwrap();
    std::fs::remove_dir(&place).unwrap();
    recorder.record(exchange("1"));
    let counts = recorder.close();
    assert_eq!((counts.written, counts.dropped), (0, 1));
    assert!(Recorder::start(options(Path::new("/dev/null/x")), |_| {}).is_err(), "told at the start");
}

#[test]
fn secrets_never_reach_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        compression: Compression::None,
        redactor: Some(super::super::Redactor::new(b"key")),
        ..options(directory.path())
    };
    let recorder = Recorder::start(options, |_| {}).unwrap();
    recorder.record(exchange(r#"{"request":{"object":{"env":[{"name":"PASSWORD","value":"hunter2hunter2"}]}}}"#));
    recorder.close();
    let text = std::fs::read_to_string(&logs(directory.path()).unwrap()[0]).unwrap();
    assert!(text.contains("redacted:") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_cut_off_anywhere_loses_its_end_and_nothing_else() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd(3)] {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(Options { compression, ..options(directory.path()) }, |_| {}).unwrap();
        let mut ends = vec![0];
        for n in 0..4 {
            recorder.record(exchange(&format!("{{\"n\":{n}}}")));
            assert!(recorder.flush(FAR));
            ends.push(usize::try_from(recorder.counts().bytes).unwrap());
        }
        recorder.close();
        let whole = std::fs::read(&logs(directory.path()).unwrap()[0]).unwrap();
        assert_eq!(ends.last(), Some(&whole.len()));
        for cut in 0..=whole.len() {
            let items: Vec<_> = Reader::new(std::io::Cursor::new(whole[..cut].to_vec())).unwrap().collect();
            let good = items.iter().take_while(|item| item.is_ok()).count();
            let flushed = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert!(good >= flushed, "{compression:?} cut at {cut}: {good} of {flushed} flushed records");
            assert!(items.len() - good <= 1, "{compression:?} cut at {cut}: {items:?}");
            let torn = matches!(items.last(), Some(Err(Error::Torn { .. })));
            let at_an_end = ends.contains(&cut) || compression == Compression::None && ends.contains(&(cut + 1));
            // The first bytes of a gzip header are taken for padding.
            let told = at_an_end || torn || compression == Compression::Gzip || matches!(items.last(), Some(Err(_)));
            assert!(told, "{compression:?} cut at {cut}: {items:?}");
        }
    }
}

#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn a_full_disk_loses_nothing_that_was_written_and_writing_goes_on_when_there_is_room() {
    struct Mounted(tempfile::TempDir);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0.path()).status();
        }
    }
    let disk = Mounted(tempfile::tempdir().unwrap());
    let mount = ["-t", "tmpfs", "-o", "size=512k", "tmpfs"];
    assert!(std::process::Command::new("mount").args(mount).arg(disk.0.path()).status().unwrap().success());
    let place = disk.0.path().join("log");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 256 << 10]).unwrap();
    let (send, notices) = mpsc::channel();
    let options = Options {
        compression: Compression::None,
        fsync: Fsync::Each,
        max_bytes: 64 << 10,
        retry_after: Duration::from_millis(1),
        ..options(&place)
    };
    let recorder = Recorder::start(options, move |notice| send.send(notice).unwrap()).unwrap();
    let mut offered: u64 = 0;
    let message = loop {
        recorder.record(exchange(&"x".repeat(5000)));
        offered += 1;
        match notices.try_recv() {
            Ok(Notice::Failing { message }) => break message,
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(recorder.flush(Duration::from_secs(5)) || offered > 10, "it fills up"),
        }
    };
    assert!(message.contains("No space left"), "{message}");
    // What counts as written is whole, and nothing else is there.
    assert_eq!(read(&place).len() as u64, recorder.counts().written);
    std::fs::remove_file(&ballast).unwrap();
    assert!(matches!(notices.recv().unwrap(), Notice::Recovered { .. }));
    let counts = recorder.close();
    assert_eq!((counts.written + counts.dropped, read(&place).len() as u64), (offered, counts.written));
    assert!(counts.errors > 0 && notices.try_recv().is_err(), "told once: {counts:?}");
}
