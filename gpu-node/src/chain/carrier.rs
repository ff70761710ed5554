use std::sync::Arc;
use std::time::Duration;

use plasma_modules::{Coded as _, attestation, market};
use plasma_proto::plasma::market::v1::JobState;
use prost::Message as _;
use prost_types::Any;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Service;
use crate::client::{ClientError, TxOptions, TxOutcome};
use crate::outbox::Answer;

/// Answers of one transaction.
const BATCH_MAX: usize = 8;
/// Bytes of the answers of one transaction; a transaction has at most 64 KiB.
const BATCH_BYTES_MAX: usize = 48 << 10;
/// With nothing written: how often the outbox is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// After a failure: first and longest pause.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a transaction may take into a block before it is looked at anew.
const TX_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the outbox may take to be sent when the node stops.
const STOP_SEND: Duration = Duration::from_secs(30);

/// Sends what is in the outbox, one transaction after the other, until `stop` says so; then sends the rest, for a
/// bounded time.
pub async fn carry(service: Arc<Service>, mut stop: watch::Receiver<bool>) {
    let mut pause = IDLE;
    while !*stop.borrow() {
        tokio::select! {
            () = service.wake.notified(), if pause == IDLE => {}
            () = sleep(pause) => {}
            _ = stop.changed() => break,
        }
        pause = match service.send_all().await {
            Ok(()) => IDLE,
            Err(error) => {
                let next = if pause == IDLE { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                service.tell(&error, next);
                next
            }
        };
    }
    let rest = async {
        let mut pause = PAUSE_MIN;
        while service.outbox.depth() > 0 {
            if let Err(error) = service.send_all().await {
                service.tell(&error, pause);
            }
            // What waits on may wait for a node that is behind, which is no error.
            if service.outbox.depth() > 0 {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    };
    if timeout(STOP_SEND, rest).await.is_err() {
        let answers = service.outbox.depth();
        tracing::warn!(
            answers,
            "not everything could be sent; it waits on disk and is sent at the next start"
        );
    }
}

impl Service {
    /// Sends the reporter's messages in one transaction, one transaction after the other, and waits for its block.
    ///
    /// # Errors
    /// As [`crate::client::Client::send`].
    pub async fn transact(&self, msgs: Vec<Any>) -> Result<TxOutcome, ClientError> {
        let options = TxOptions { timeout: TX_TIMEOUT, ..TxOptions::default() };
        let _one = self.sending.lock().await;
        self.client.send(&self.reporter, msgs, &options).await
    }

    fn tell(&self, error: &ClientError, pause: Duration) {
        let (answers, pause_ms) = (self.outbox.depth(), pause.as_millis());
        let poor =
            matches!(error, ClientError::InsufficientFunds(_) | ClientError::UnknownAccount(_));
        if poor {
            let address = self.reporter.address().text();
            tracing::error!(
                %address, answers, pause_ms, %error,
                "the reporter account cannot pay for receipts: send it uxpl; they wait on disk"
            );
        } else {
            tracing::warn!(answers, pause_ms, %error, "sending failed; trying again");
        }
        self.metrics.reporter_out_of_funds.set(i64::from(poor));
        self.metrics.transaction("failed");
    }

    /// Sends everything that waits. An error means that something waits on.
    async fn send_all(&self) -> Result<(), ClientError> {
        let waiting = self.outbox.waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        self.synced().await?;
        let mut wanted = Vec::new();
        for answer in waiting {
            if self.is_wanted(&answer).await? {
                wanted.push(answer);
            }
        }
        let mut failed = None;
        for batch in batches(wanted) {
            match self.send(&batch).await {
                Ok(()) => {}
                Err(error)
                    if error.rule().is_some()
                        && batch.len() > 1
                        && !is_about_the_carrier(&error) =>
                {
                    // One of them is refused: each by itself shows which.
                    for answer in batch {
                        if let Err(error) = self.send(&[answer]).await {
                            failed = Some(error);
                        }
                    }
                }
                Err(error) => failed = Some(error),
            }
            if failed.as_ref().is_some_and(is_about_the_carrier) {
                break;
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether the chain still waits for the answer; if not, it is settled.
    async fn is_wanted(&self, answer: &Answer) -> Result<bool, ClientError> {
        let (job_id, attempt) = answer.assignment();
        let job = match self.job(job_id).await {
            Ok(found) => found.job.unwrap_or_default(),
            // A node that does not know the job, or knows less of it than we have done, is behind.
            Err(ClientError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if job.attempt < attempt {
            return Ok(false);
        }
        if job.state() == JobState::Assigned
            && job.attempt == attempt
            && job.provider == self.operator.text()
        {
            return Ok(true);
        }
        let accepted = match answer {
            Answer::Receipt(msg) => msg
                .receipt
                .as_ref()
                .is_some_and(|receipt| job.receipt_hash == attestation::receipt_hash(receipt)),
            Answer::Decline(_) => job.tried.contains(&self.operator.text()),
        };
        self.settle(answer, accepted);
        Ok(false)
    }

    fn settle(&self, answer: &Answer, accepted: bool) {
        let ((job_id, attempt), kind) = (answer.assignment(), answer.kind());
        if accepted {
            tracing::info!(job_id, attempt, kind, "the chain has the answer");
        } else {
            tracing::warn!(
                job_id,
                attempt,
                kind,
                "the chain no longer wants the answer: it came too late"
            );
        }
        if let Err(error) = self.outbox.settle(answer.assignment()) {
            tracing::error!(job_id, attempt, %error, "the answer cannot be put away");
        }
        self.metrics.outbox_depth.set(i64::try_from(self.outbox.depth()).unwrap_or(i64::MAX));
    }

    /// Sends some answers in one transaction and waits for its block.
    async fn send(&self, answers: &[Answer]) -> Result<(), ClientError> {
        let carrier = self.reporter.address().text();
        let msgs = answers.iter().map(|answer| answer.message(&carrier)).collect();
        match self.transact(msgs).await {
            Ok(outcome) => {
                tracing::debug!(
                    hash = outcome.hash,
                    height = outcome.height,
                    answers = answers.len(),
                    "sent"
                );
                self.metrics.transaction("ok");
                self.metrics.reporter_out_of_funds.set(0);
                answers.iter().for_each(|answer| self.settle(answer, true));
                Ok(())
            }
            Err(error) => match (answers, error.rule().is_some_and(is_final)) {
                ([answer], true) => {
                    self.settle(answer, false);
                    Ok(())
                }
                ([answer], false) if error.rule().is_some() && !is_about_the_carrier(&error) => {
                    let (job_id, attempt) = answer.assignment();
                    tracing::error!(job_id, attempt, %error, "the chain refuses the answer");
                    Err(error)
                }
                _ => Err(error),
            },
        }
    }
}

/// Whether another answer would fare no better.
fn is_about_the_carrier(error: &ClientError) -> bool {
    error.is_transient()
        || matches!(
            error,
            ClientError::InsufficientFunds(_)
                | ClientError::UnknownAccount(_)
                | ClientError::Unauthorized(_)
        )
}

/// Whether a refusal means that the chain will never want the answer. One that it has is not refused.
fn is_final((codespace, code): (&str, u32)) -> bool {
    use attestation::Error as Receipt;
    use market::Error as Market;
    let receipts = [
        Receipt::UnknownJob(0),
        Receipt::AlreadyAnswered(0),
        Receipt::NotAssigned(0),
        Receipt::WrongAttempt { current: 0, given: 0 },
        Receipt::Late(0),
        Receipt::WrongNode,
    ];
    let declines = [
        Market::UnknownJob(0),
        Market::NotAssigned(0),
        Market::WrongAttempt { current: 0, given: 0 },
    ];
    let found = (codespace, code);
    receipts.iter().any(|error| found == (error.codespace(), error.code()))
        || declines.iter().any(|error| found == (error.codespace(), error.code()))
}

/// Bytes that an answer takes in a transaction.
fn size(answer: &Answer) -> usize {
    match answer {
        Answer::Receipt(msg) => msg.encoded_len(),
        Answer::Decline(msg) => msg.encoded_len(),
    }
}

/// In order, as many in one as fit.
fn batches(answers: Vec<Answer>) -> Vec<Vec<Answer>> {
    let mut batches: Vec<Vec<Answer>> = Vec::new();
    let mut bytes = 0;
    for answer in answers {
        bytes += size(&answer);
        match batches.last_mut() {
            Some(last) if last.len() < BATCH_MAX && bytes <= BATCH_BYTES_MAX => last.push(answer),
            _ => {
                bytes = size(&answer);
                batches.push(vec![answer]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_proto::plasma::market::v1::MsgDeclineJob;

    #[test]
    fn batches_have_limits_and_keep_the_order() {
        let answers: Vec<Answer> = (0..20u64)
            .map(|job_id| {
                let reason = "x".repeat(if job_id == 3 { BATCH_BYTES_MAX } else { 10 });
                Answer::Decline(MsgDeclineJob {
                    job_id,
                    attempt: 1,
                    reason,
                    ..MsgDeclineJob::default()
                })
            })
            .collect();
        let batches = batches(answers.clone());
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 1, 8, 8]);
        assert_eq!(batches.concat(), answers);
    }

    #[test]
    fn refusals_that_end_the_matter() {
        for rule in [("attestation", 7), ("attestation", 10), ("market", 27)] {
            assert!(is_final(rule), "{rule:?}");
        }
        for rule in [("attestation", 24), ("sdk", 6), ("sdk", 13)] {
            assert!(!is_final(rule), "{rule:?}");
        }
    }
}
