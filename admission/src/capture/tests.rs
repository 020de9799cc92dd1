use std::io::{Cursor, Write};

use super::*;

fn read(bytes: impl Into<Vec<u8>>) -> Vec<Result<Record, Error>> {
    Reader::new(Cursor::new(bytes.into())).unwrap().collect()
}

fn record(seq: u64) -> Record {
    Record {
        seq,
        time: Some("2026-11-22T07:43:09.123456Z".into()),
        t_ms: Some(1.5),
        method: "POST".into(),
        path: "/inject".into(),
        query: "timeout=10s".into(),
        headers: vec![("Host".into(), "h".into())],
        webhook: "a.example.com".into(),
        body: format!("{{\"kind\":\"AdmissionReview\",\"n\":{seq}}}\n"),
        response: Some(Answer { status: 200, headers: Vec::new(), body: "{}".into() }),
        duration_ms: Some(0.25),
    }
}

fn written(count: u64, compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression).unwrap();
    for seq in 1..=count {
        writer.write(&record(seq)).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn what_was_written_is_read_again_in_any_compression() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd(3)] {
        let read: Vec<_> = read(written(3, compression)).into_iter().map(Result::unwrap).collect();
        assert_eq!(read, [record(1), record(2), record(3)]);
        assert!(super::tests::read(written(0, compression)).is_empty(), "an empty log is no error");
    }
    assert!(String::from_utf8(written(1, Compression::None)).unwrap().starts_with("{\"format_version\":1,\"seq\":1,"));
}

#[test]
fn logs_can_be_concatenated() {
    for compression in [Compression::Gzip, Compression::Zstd(1)] {
        let bytes = [written(2, compression), written(1, compression)].concat();
        assert_eq!(read(bytes).into_iter().map(|record| record.unwrap().seq).collect::<Vec<_>>(), [1, 2, 1]);
    }
}

#[test]
fn older_and_other_forms_are_read() {
    let lines = concat!(
        r#"{"seq": 7, "tMs": 12.5, "method": "POST", "path": "/x", "query": "", "headers": [["A","b"]], "body": "text"}"#,
        "\n\r\n",
        r#"{"format_version":1,"body":{"kind": "AdmissionReview"},"from a later writer":true}"#,
        "\r\n",
        r#"  {"kind":"AdmissionReview","request":{}}"#,
    );
    let read: Vec<_> = read(lines).into_iter().map(Result::unwrap).collect();
    assert_eq!((read[0].seq, read[0].t_ms, read[0].body.as_str()), (7, Some(12.5), "text"));
    assert_eq!((read[1].method.as_str(), read[1].body.as_str()), ("POST", r#"{"kind": "AdmissionReview"}"#));
    assert_eq!(read[2].body, r#"{"kind":"AdmissionReview","request":{}}"#);
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_skipped() {
    let text = "garbage\n{\"body\":\"1\"}\n{\"format_version\":9,\"body\":\"\"}\n[]\n{\"seq\":1}\n\0\0\n\u{fffd}\n{\"body\":\"2\"}\n";
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in read(text) {
        match item {
            Ok(record) => good.push(record.body),
            Err(error) => bad.push(error.to_string()),
        }
    }
    assert_eq!(good, ["1", "2"]);
    assert_eq!(bad.len(), 6);
    assert_eq!(bad[0], "line 1: not a record: expected value at line 1 column 1");
    assert_eq!(
        bad[1],
        "line 3: format_version 9 is newer than 1, the newest that this reader knows: use a newer towtank"
    );
    assert_eq!(bad[3], "line 5: no field \"body\", and not an AdmissionReview either");
}

#[test]
fn a_torn_last_line_is_reported_and_what_came_before_is_read() {
    // What is cut off reaches into the last record, past the compression's own trailer.
    for (compression, cut) in [(Compression::None, 40), (Compression::Gzip, 25), (Compression::Zstd(3), 6)] {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, compression).unwrap();
        for seq in 1..=4 {
            writer.write(&record(seq)).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap();
        bytes.truncate(bytes.len() - cut);
        let items = read(bytes);
        assert!(items.len() >= 3, "{compression:?}: {items:?}");
        let (last, rest) = items.split_last().unwrap();
        assert!(rest.iter().all(Result::is_ok));
        assert!(matches!(last, Err(Error::Torn { .. })), "{compression:?}: {last:?}");
        assert_eq!(last.as_ref().unwrap_err().line(), items.len() as u64);
    }
}

#[test]
fn a_last_line_without_a_line_break_is_whole() {
    assert!(read("{\"body\":\"x\"}").pop().unwrap().is_ok());
    assert!(matches!(read("{\"body\":\"x\"}\nnonsense").pop(), Some(Err(Error::Bad { line: 2, .. }))));
}

#[test]
fn damaged_compression_ends_the_log_with_an_error() {
    let mut bytes = written(2000, Compression::Gzip);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xaa);
    let items = read(bytes);
    assert!(matches!(items.last(), Some(Err(Error::Io { .. } | Error::Bad { .. } | Error::Torn { .. }))));
    assert!(items.iter().filter(|item| matches!(item, Err(Error::Io { .. }))).count() <= 1);
    assert!(matches!(read(*b"\x1f\x8b\x08garbage garbage").pop(), Some(Err(_))));
}

#[test]
fn a_line_too_long_is_skipped_without_being_kept() {
    let mut text = b"{\"body\":\"1\"}\n".to_vec();
    text.resize(text.len() + 3_000_000, b'x');
    text.extend_from_slice(b"\n{\"body\":\"2\"}\n");
    let mut reader = Reader::new(Cursor::new(text)).unwrap().limit(1000);
    assert!(reader.next().unwrap().is_ok());
    assert!(matches!(reader.next(), Some(Err(Error::TooLong { line: 2, limit: 1000 }))));
    assert_eq!(reader.next().unwrap().unwrap().body, "2");
    assert!(reader.next().is_none() && reader.next().is_none());
}

#[test]
fn files_are_opened_by_content_and_directories_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Reader::open(directory.path()).err().unwrap().to_string().contains("directory"));
    assert!(Reader::open(&directory.path().join("none")).is_err());
    let path = directory.path().join("log.gz");
    let mut writer = Writer::create(&path).unwrap();
    writer.write(&record(1)).unwrap();
    writer.finish().unwrap().flush().unwrap();
    let renamed = directory.path().join("log.txt");
    std::fs::rename(path, &renamed).unwrap();
    assert_eq!(Reader::open(&renamed).unwrap().count(), 1);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_hang(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000), magic in 0..3) {
        let head: &[u8] = match magic { 0 => b"", 1 => &[0x1f, 0x8b, 8], _ => &[0x28, 0xb5, 0x2f, 0xfd] };
        let items = read([head, &bytes].concat());
        proptest::prop_assert!(items.len() <= bytes.len() + 1);
    }
}
