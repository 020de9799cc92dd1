//! Header blocks of SPDY/3.1: names and values, deflated with a dictionary that both sides know.

use std::collections::HashMap;
use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The longest block, inflated.
const MAX_BLOCK: usize = 64 << 10;

/// The words of the protocol's dictionary (SPDY protocol, draft 3, 2.6.10.1), each with its length in front.
const WORDS: &str = "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-ranges,age,\
    allow,authorization,cache-control,connection,content-base,content-encoding,content-language,content-length,\
    content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,if-modified-since,\
    if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,proxy-authenticate,\
    proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,upgrade,user-agent,vary,via,warning,\
    www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,keep-alive,origin";
/// And the text after them.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
    Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dictionary = Vec::new();
    for word in WORDS.split(',') {
        dictionary.extend(u32::try_from(word.len()).unwrap_or(0).to_be_bytes());
        dictionary.extend(word.as_bytes());
    }
    dictionary.extend(TEXT.as_bytes());
    dictionary
});

/// Reads the blocks of one direction of a connection.
pub(super) struct Inflate(Decompress);

impl Inflate {
    pub(super) fn new() -> Inflate {
        Inflate(Decompress::new(true))
    }

    /// The headers of the next block, names in lower case; none if it is not valid.
    pub(super) fn read(&mut self, mut block: &[u8]) -> Option<HashMap<String, String>> {
        let mut plain = Vec::with_capacity(1024);
        while !block.is_empty() {
            if plain.len() >= MAX_BLOCK {
                return None;
            }
            plain.reserve(1024);
            let before = (self.0.total_in(), plain.len());
            let status = match self.0.decompress_vec(block, &mut plain, FlushDecompress::Sync) {
                Ok(status) => status,
                Err(error) => {
                    error.needs_dictionary()?;
                    self.0.set_dictionary(&DICTIONARY).ok()?;
                    Status::Ok
                }
            };
            let used = usize::try_from(self.0.total_in() - before.0).ok()?;
            block = block.get(used..)?;
            if status == Status::StreamEnd || (used == 0 && plain.len() == before.1 && status == Status::BufError) {
                break;
            }
        }
        parse(&plain)
    }
}

fn parse(mut plain: &[u8]) -> Option<HashMap<String, String>> {
    let number = |plain: &mut &[u8]| -> Option<usize> {
        let (first, rest) = plain.split_first_chunk::<4>()?;
        *plain = rest;
        usize::try_from(u32::from_be_bytes(*first)).ok()
    };
    let text = |plain: &mut &[u8]| -> Option<String> {
        let length = number(plain)?;
        let (text, rest) = plain.split_at_checked(length)?;
        *plain = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let count = number(&mut plain)?;
    let mut headers = HashMap::new();
    for _ in 0..count {
        let name = text(&mut plain)?.to_ascii_lowercase();
        headers.insert(name, text(&mut plain)?);
    }
    Some(headers)
}

/// Writes the blocks of the other direction.
pub(super) struct Deflate {
    compress: Compress,
    ready: bool,
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate { compress: Compress::new(Compression::default(), true), ready: false }
    }

    /// A block without headers.
    pub(super) fn empty(&mut self) -> Option<Vec<u8>> {
        if !self.ready {
            self.compress.set_dictionary(&DICTIONARY).ok()?;
            self.ready = true;
        }
        let mut block = Vec::with_capacity(256);
        self.compress.compress_vec(&0u32.to_be_bytes(), &mut block, FlushCompress::Sync).ok()?;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        // The Adler-32 with which every SPDY/3 stream begins.
        let (mut a, mut b) = (1u32, 0u32);
        for &byte in DICTIONARY.iter() {
            a = (a + u32::from(byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        assert_eq!((DICTIONARY.len(), b << 16 | a), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn what_is_deflated_is_inflated() {
        let (mut deflate, mut inflate) = (Deflate::new(), Inflate::new());
        for _ in 0..3 {
            assert_eq!(inflate.read(&deflate.empty().unwrap()), Some(HashMap::new()));
        }
        assert_eq!(Inflate::new().read(b"nonsense"), None);
        assert_eq!(parse(&[0, 0, 0, 9]), None);
        assert_eq!(parse(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
