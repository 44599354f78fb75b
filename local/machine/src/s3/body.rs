//! A body on its way into a file: counted, summed and compared with what the request says of it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use http::HeaderMap;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, TrailingHeaders};

use super::checksum::{Algorithm, Checksum, Given, Hasher};
use super::error::{bad_request, broken, refused};
use super::files::{FilePiece, Files, Incoming};

/// What a request says of its body.
pub(super) struct Claims {
    length: Option<i64>,
    md5: Option<String>,
    /// Given in a header.
    checksum: Option<(Algorithm, String)>,
    /// To come after the body.
    trailer: Option<(Algorithm, TrailingHeaders)>,
    /// Asked for, but not given.
    asked: Option<Algorithm>,
}

impl Claims {
    pub(super) fn of<T>(
        request: &S3Request<T>,
        length: Option<i64>,
        md5: Option<String>,
        given: Given,
        asked: Option<&ChecksumAlgorithm>,
    ) -> S3Result<Self> {
        let trailer = Algorithm::announced(&request.headers).zip(request.trailing_headers.clone());
        let checksum = given.single()?;
        let asked = asked.map(Algorithm::named).transpose()?;
        Ok(Claims { length, md5, checksum, trailer, asked })
    }

    /// The algorithm that the request names, if it names one.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        let given = self.checksum.as_ref().map(|(algorithm, _)| *algorithm);
        given.or(self.trailer.as_ref().map(|(algorithm, _)| *algorithm)).or(self.asked)
    }
}

/// A body in its file, and what it is.
pub(super) struct Received {
    pub(super) file: Incoming,
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

impl Received {
    pub(super) fn etag(&self) -> String {
        hex(self.md5)
    }

    pub(super) fn piece(&self) -> FilePiece {
        FilePiece { file: self.file.number(), size: self.size }
    }
}

/// Writes a body to a file of its own and proves what the request claims. The file goes if anything is wrong.
pub(super) async fn receive(
    files: &Arc<Files>,
    body: Option<StreamingBlob>,
    claims: &Claims,
    otherwise: Algorithm,
) -> S3Result<Received> {
    let mut file = files.create().map_err(broken)?;
    let mut md5 = Md5::new();
    let mut hasher = claims.algorithm().unwrap_or(otherwise).hasher();
    let mut size: u64 = 0;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(cut_off)?;
            file.write(&chunk).map_err(broken)?;
            md5.update(&chunk);
            hasher.update(&chunk);
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        }
    }
    if claims.length.is_some_and(|length| u64::try_from(length) != Ok(size)) {
        return Err(S3Error::new(S3ErrorCode::IncompleteBody));
    }
    let received = Received { file, size, md5: md5.finalize(), checksum: Hasher::finish(hasher) };
    prove(&received, claims)?;
    Ok(received)
}

fn prove(received: &Received, claims: &Claims) -> S3Result<()> {
    if let Some(md5) = &claims.md5 {
        let md5 = STANDARD.decode(md5).map_err(|_| S3Error::new(S3ErrorCode::InvalidDigest))?;
        if md5 != received.md5 {
            return Err(refused(S3ErrorCode::BadDigest, "the body's MD5 is not the one in Content-MD5"));
        }
    }
    let claimed = match (&claims.checksum, &claims.trailer) {
        (Some((algorithm, value)), _) => Some((*algorithm, value.clone())),
        (None, Some((algorithm, trailers))) => Some((*algorithm, trailing(*algorithm, trailers)?)),
        (None, None) => None,
    };
    match claimed {
        Some((algorithm, value)) if !received.checksum.is(algorithm, &value) => Err(refused(
            S3ErrorCode::BadDigest,
            format!("the body's checksum is not the one in {}", algorithm.header()),
        )),
        _ => Ok(()),
    }
}

fn trailing(algorithm: Algorithm, trailers: &TrailingHeaders) -> S3Result<String> {
    let find = |headers: &HeaderMap| headers.get(algorithm.header())?.to_str().ok().map(str::to_owned);
    trailers
        .read(find)
        .flatten()
        .ok_or_else(|| bad_request("MalformedTrailerError", format!("{} did not come", algorithm.header())))
}

/// A body ends early, or its bytes are not those that were signed. What went wrong only the text tells: the types
/// are private to s3s, whose version is pinned.
fn cut_off(error: s3s::StdError) -> S3Error {
    let text = error.to_string();
    let mut answer = if text.contains("Sha256Mismatch") {
        bad_request("XAmzContentSHA256Mismatch", "the body is not the one that was signed")
    } else if text.contains("SignatureMismatch") {
        refused(S3ErrorCode::SignatureDoesNotMatch, "a chunk of the body is not the one that was signed")
    } else {
        S3Error::new(S3ErrorCode::IncompleteBody)
    };
    answer.set_source(error);
    answer
}

pub(super) fn hex(md5: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(md5))
}
