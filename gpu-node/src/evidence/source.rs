//! Where the leaves of others come from: a file, or a node's `GET /v1/evidence/{job_id}`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plasma_proto::plasma::attestation::v1::Evidence;
use serde::Deserialize;

/// Longest document, bytes: as much as a node keeps of one answer, as text.
const DOCUMENT_BYTES_MAX: usize = 2 << 20;
/// How long a node may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Evidence as protobuf's JSON has it.
#[derive(Deserialize)]
struct Document {
    job_id: Number,
    attempt: u32,
    leaves: Vec<String>,
}

/// 64 bits, as text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(u64),
}

/// Reads a document of evidence.
///
/// # Errors
/// What is wrong with it, for people.
pub fn from_json(text: &[u8]) -> Result<Evidence, String> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("larger than {DOCUMENT_BYTES_MAX} bytes"));
    }
    let Document { job_id, attempt, leaves } = serde_json::from_slice(text)
        .map_err(|error| format!("no document of evidence: {error}"))?;
    let job_id = match job_id {
        Number::Plain(number) => number,
        Number::Text(text) => text.parse().map_err(|_| format!("job_id {text:?} is no number"))?,
    };
    let leaves = leaves.iter().enumerate().map(|(at, leaf)| {
        BASE64.decode(leaf).map_err(|error| format!("leaf {at} is not base64: {error}"))
    });
    Ok(Evidence { job_id, attempt, leaves: leaves.collect::<Result<_, _>>()? })
}

/// Asks the node at `url` for the evidence of a job.
///
/// # Errors
/// Why there is none, for people.
pub async fn fetch(url: &str, job_id: u64) -> Result<Evidence, String> {
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let url = format!("{}/v1/evidence/{job_id}", url.trim_end_matches('/'));
    let failed = |error: reqwest::Error| format!("{url}: {error}");
    let mut answer = http.get(&url).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("{url} answers {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&part);
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("{url} answers more than {DOCUMENT_BYTES_MAX} bytes"));
        }
    }
    from_json(&body).map_err(|error| format!("{url}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_refused() {
        let good = br#"{"job_id": "7", "attempt": 2, "leaves": ["AQI="]}"#;
        let evidence = Evidence { job_id: 7, attempt: 2, leaves: vec![vec![1, 2]] };
        assert_eq!(from_json(good), Ok(evidence.clone()));
        assert_eq!(from_json(br#"{"job_id": 7, "attempt": 2, "leaves": ["AQI="]}"#), Ok(evidence));
        for bad in [
            "",
            "{}",
            r#"{"job_id":"x","attempt":2,"leaves":[]}"#,
            r#"{"job_id":1,"attempt":2,"leaves":["?"]}"#,
        ] {
            assert!(from_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(from_json(&vec![b' '; DOCUMENT_BYTES_MAX + 1]).is_err());
    }
}
