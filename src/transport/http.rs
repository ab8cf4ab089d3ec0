//! What of HTTP/1.1 (RFC 9112) comes before a WebSocket: a request without a body, and the heads of its
//! answers, which httparse parses.

use std::{io, mem::MaybeUninit};

use bytes::Bytes;
use httparse::{Header, ParserConfig, Response, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dialler::BoxedStream;
use crate::protocol::{ResponseHead, is_token};

/// Bytes of answers that are read before giving up. Servers send a few hundred.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Headers that one answer may have.
const MAX_HEADERS: usize = 96;
/// Bytes that most requests need, and most answers.
const MOST_HEADS: usize = 512;

/// A request, line by line.
pub(super) struct Request(String);

/// A line would not be the one line that it is meant to be. What comes from users is checked where it is given; no
/// other is written all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0} has characters that HTTP does not allow there")]
pub(super) struct Unwritable(String);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
    Io(io::Error),
    NotHttp(httparse::Error),
    /// It is longer than [`MAX_HEAD`], or has more headers than anybody needs.
    HeadTooLarge,
}

impl Request {
    pub(super) fn new(method: &str, target: &str) -> Result<Self, Unwritable> {
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unwritable(format!("the target of the {method} request")));
        }
        let mut head = String::with_capacity(MOST_HEADS);
        head.extend([method, " ", target, " HTTP/1.1\r\n"]);
        Ok(Self(head))
    }

    /// Adds a header, behind the others.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), Unwritable> {
        // RFC 9110 §5.5, without the bytes beyond ASCII.
        if !is_token(name) || !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(Unwritable(format!("the header {name:?}")));
        }
        self.0.extend([name, ": ", value, "\r\n"]);
        Ok(())
    }
}

/// Sends the request, and shows each answer's head to `judge` until that has made something of one. Returns this and
/// what came behind that head.
pub(super) async fn exchange<T>(
    stream: &mut BoxedStream,
    Request(mut head): Request,
    mut judge: impl FnMut(&ResponseHead<'_>) -> Option<T>,
) -> Result<(T, Bytes), ExchangeError> {
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    drop(head);
    let (mut read, mut done) = (Vec::with_capacity(MOST_HEADS), 0);
    loop {
        // Of a head that dribbles in, each read is parsed from its beginning: hence the limit.
        let room = MAX_HEAD.saturating_sub(read.len());
        if room == 0 {
            return Err(ExchangeError::HeadTooLarge);
        }
        if (&mut *stream).take(room as u64).read_buf(&mut read).await? == 0 {
            return Err(ExchangeError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        while let Some((judged, len)) = parse(read.get(done..).unwrap_or_default(), &mut judge)? {
            done += len;
            if let Some(judged) = judged {
                let rest = read.get(done..).unwrap_or_default();
                return Ok((judged, Bytes::copy_from_slice(rest)));
            }
        }
    }
}

/// What `judge` makes of the head that `bytes` begin with, and its length. Nothing while it is not whole.
fn parse<T>(
    bytes: &[u8],
    judge: &mut impl FnMut(&ResponseHead<'_>) -> T,
) -> Result<Option<(T, usize)>, ExchangeError> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut head = Response::new(&mut []);
    let config = ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut head, bytes, &mut headers) {
        Ok(Status::Complete(len)) => {
            let headers: Vec<_> = head.headers.iter().map(|it| (it.name, it.value)).collect();
            let head = ResponseHead {
                http_11: head.version == Some(1),
                status: head.code.unwrap_or_default(),
                headers: &headers,
            };
            Ok(Some((judge(&head), len)))
        }
        Ok(Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(ExchangeError::HeadTooLarge),
        Err(error) => Err(ExchangeError::NotHttp(error)),
    }
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_the_lines_that_it_was_given() {
        let mut request = Request::new("GET", "/chat?room=1").unwrap();
        request.header("Host", "example.com").unwrap();
        request.header("X-Empty", "").unwrap();
        assert_eq!(request.0, "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nX-Empty: \r\n");
    }

    #[test]
    fn what_would_be_another_line_is_not_written() {
        for target in ["/a b", "/a\r\nX: y", "/é", "/\0"] {
            let error = Request::new("GET", target).map(|_| ()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the target of the GET request has characters that HTTP does not allow there"
            );
        }
        let mut request = Request::new("GET", "/").unwrap();
        for (name, value) in
            [("", "x"), ("X:", "x"), ("X\r\nY", "x"), ("X", "a\r\nY: b"), ("X", "\0")]
        {
            let error = request.header(name, value).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{error}");
        }
        assert_eq!(request.0, "GET / HTTP/1.1\r\n");
    }

    /// Answers with these pieces, one a read, and then ends. Returns the status and all that came behind its head, in
    /// the same read and after that.
    async fn answered(pieces: &[&[u8]]) -> Result<(u16, Vec<u8>), ExchangeError> {
        let (client, mut server) = tokio::io::duplex(MAX_HEAD * 2);
        let mut client: BoxedStream = Box::new(client);
        let request = Request::new("GET", "/").unwrap();
        let exchange =
            exchange(&mut client, request, |head| (head.status >= 200).then_some(head.status));
        let answer = async {
            for piece in pieces {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(server);
        };
        let (status, behind) = tokio::join!(exchange, answer).0?;
        let mut rest = behind.to_vec();
        client.read_to_end(&mut rest).await?;
        Ok((status, rest))
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    proptest! {
        #[test]
        fn answers_may_come_in_any_pieces(
            interim in 0usize..4,
            cuts in prop::collection::vec(0usize..200, 0..6),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(interim);
            let answer = [interim.as_bytes(), b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"].concat();
            let all = [&*answer, &rest].concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &all[cut[0]..cut[1]]).collect();
            let (status, behind) = run(answered(&pieces)).unwrap();
            prop_assert_eq!(status, 204);
            prop_assert_eq!(behind, rest);
        }
    }

    #[test]
    fn what_is_no_answer_is_told_as_what_it_is() {
        let many = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(MAX_HEADERS + 1));
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD));
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MAX_HEAD / 28 + 1);
        for head in [&many, &long, &hints] {
            let told = run(answered(&[head.as_bytes()]));
            assert!(matches!(told, Err(ExchangeError::HeadTooLarge)), "{told:?}");
        }
        // At once, whether or not more comes.
        for garbage in [&b"S"[..], b"HTTP/2", b"\0", b"HTTP/1.1 OK"] {
            let told = run(answered(&[garbage]));
            assert!(matches!(told, Err(ExchangeError::NotHttp(_))), "{garbage:?}: {told:?}");
        }
        for cut in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
            let told = run(answered(&[cut]));
            let Err(ExchangeError::Io(error)) = told else { panic!("{told:?}") };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
