//! A response of one piece.

use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;

use super::Failure;
use super::limits::QUIET;
use super::pool::Answer;

/// Reads a body of at most `limit` bytes to its end.
pub(super) async fn read(answer: Answer, limit: usize) -> Result<Vec<u8>, Failure> {
    let Answer { response, lease } = answer;
    let mut body = response.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Failure::TooLarge);
    }
    let mut text = Vec::with_capacity(announced);
    while let Some(frame) = timeout(QUIET, body.frame()).await.map_err(|_| Failure::Stalled)? {
        if let Ok(bytes) = frame?.into_data() {
            if text.len() + bytes.len() > limit {
                return Err(Failure::TooLarge);
            }
            text.extend_from_slice(&bytes);
        }
    }
    lease.give_back();
    Ok(text)
}
