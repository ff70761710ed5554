//! A job in words: its state, its answer, what it cost.

use plasma_modules::Amount;
use plasma_modules::types::hex;
use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, FinishReason};
use plasma_proto::plasma::market::v1::{Job, JobState, Outcome, Output, Payload, Sampling};
use serde_json::{Value, json};

use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::light::Verified;
use crate::node::utc;
use crate::output::{Table, Tone, clean, proto_json};

/// A job's state as a word.
pub fn state_word(state: JobState) -> (&'static str, Tone) {
    match state {
        JobState::Unspecified => ("unknown", Tone::Dim),
        JobState::Open => ("open", Tone::Plain),
        JobState::Assigned => ("assigned", Tone::Warn),
        JobState::Delivered => ("delivered", Tone::Good),
        JobState::Settled => ("settled", Tone::Good),
        JobState::Refunded => ("refunded", Tone::Bad),
    }
}

/// How a job ended, in words.
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unspecified => "not ended",
        Outcome::Ok => "answered",
        Outcome::HostError => "the provider failed",
        Outcome::Refused => "no provider took it",
        Outcome::Timeout => "no provider answered in time",
        Outcome::ClientAbort => "cancelled by the requester",
        Outcome::ClientFault => {
            "the request cannot be served as it was asked (is the prompt too long for the model?)"
        }
        Outcome::Voided => "proven false",
    }
}

/// Why an answer ends where it ends.
pub fn finish_words(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Unspecified => "unknown",
        FinishReason::Eos => "the model ended it",
        FinishReason::Stop => "a stop text",
        FinishReason::Length => "max tokens reached",
        FinishReason::None => "nothing was written",
    }
}

/// Job, texts and receipt as one document; `xpl verify` reads it.
///
/// # Errors
/// If this program cannot describe them.
pub fn document(
    job: &Job,
    payload: Option<&Payload>,
    receipt: Option<&AcceptedReceipt>,
) -> Result<Value> {
    Ok(json!({
        "job": proto_json(job)?,
        "payload": payload.map(proto_json).transpose()?,
        "receipt": receipt.map(proto_json).transpose()?,
    }))
}

/// The output of a job.
///
/// # Errors
/// Says why there is none: not yet, never, or forgotten.
pub fn answer_of(job: &Job, payload: Option<&Payload>) -> Result<Output> {
    let id = job.id;
    match (job.state(), payload.and_then(|payload| payload.output.clone())) {
        (JobState::Delivered | JobState::Settled, Some(output)) => Ok(output),
        (JobState::Delivered | JobState::Settled, None) => {
            Err(Failure::unsuccessful(format!("the chain has forgotten the answer of job {id}"))
                .hint("answers are kept for some time after the job has ended; its receipt stays:  xpl job show"))
        }
        (JobState::Refunded, _) => Err(ended_in_vain(job)),
        (state, _) => Err(Failure::unsuccessful(format!("job {id} has no answer yet: it is {}", state_word(state).0))
            .hint(format!("wait for it:  xpl job watch {id}"))),
    }
}

/// A job that brought nothing.
pub fn ended_in_vain(job: &Job) -> Failure {
    let mut why = outcome_words(job.outcome()).to_owned();
    if !job.decline_reason.is_empty() {
        why = format!("{why} (the last one said: {})", clean(&job.decline_reason));
    }
    Failure::unsuccessful(format!("job {} ended without an answer: {why}", job.id))
        .hint(format!("nothing was charged; {} came back", xpl_text(&job.refund_uxpl)))
}

/// Shows a job with everything that is known of it.
///
/// # Errors
/// If this program cannot describe it as JSON.
pub fn show(
    app: &App,
    job: &Job,
    payload: Option<&Payload>,
    receipt: Option<&AcceptedReceipt>,
    proven: Option<&Verified>,
) -> Result<()> {
    let (word, tone) = state_word(job.state());
    let Sampling { temperature_milli, top_p_milli, seed } = job.sampling.unwrap_or_default();
    let milli = |value: u32| format!("{}.{:03}", value / 1000, value % 1000);
    let at = |height: u64, seconds: u64| {
        format!("block {} ({})", thousands(height.into()), utc(seconds))
    };
    let mut table = Table::fields();
    table.field_toned("job", job.id.to_string(), Tone::Strong);
    table.field_toned("state", word, tone);
    if job.outcome() != Outcome::Unspecified {
        table.field("outcome", outcome_words(job.outcome()));
    }
    table.field("requester", &job.requester);
    table.field("model", hex(&job.model_id));
    table.field("max tokens", thousands(job.max_tokens.into()));
    table.field(
        "sampling",
        format!(
            "temperature {}, top-p {}, seed {seed}",
            milli(temperature_milli),
            milli(top_p_milli)
        ),
    );
    table.field("max fee", xpl_text(&job.max_fee_uxpl));
    table.field("opened", at(job.opened_height, job.opened_s));
    if !job.provider.is_empty() {
        table.field("provider", format!("{} (attempt {})", job.provider, job.attempt));
        table.field("assigned", at(job.assigned_height, job.assigned_s));
    }
    if job.delivered_height > 0 {
        table.field("delivered", at(job.delivered_height, job.delivered_s));
    }
    if job.held {
        let how = format!("its claim may be audited:  xpl audit show {}", job.id);
        table.field_toned("held", how, Tone::Warn);
    }
    if job.ended_height > 0 {
        table.field("ended", at(job.ended_height, job.ended_s));
    }
    for (name, value) in paid(job) {
        table.field(name, value);
    }
    if let Some(receipt) = receipt.and_then(|accepted| accepted.receipt.as_ref()) {
        table.field("receipt", hex(&job.receipt_hash));
        table.field(
            "tokens",
            format!(
                "{} in ({} cached), {} out; {}",
                u64::from(receipt.n_fresh) + u64::from(receipt.n_cached),
                receipt.n_cached,
                receipt.n_out,
                finish_words(receipt.finish_reason())
            ),
        );
        table.field("kernel", &receipt.kernel_id);
    }
    if let Some(verified) = proven {
        table.field_toned("proven", verified.line(), Tone::Good);
    }
    if app.out.is_json() {
        let mut document = document(job, payload, receipt)?;
        if let Some(verified) = proven {
            document["proof"] = verified.json();
        }
        app.out.json(&document);
        return Ok(());
    }
    app.out.table(&table, "", &());
    match payload {
        Some(Payload { input, output }) => {
            app.out
                .print(&format!("\n{}\n{}", app.out.tone(Tone::Dim, "prompt"), clean(input)), &());
            if let Some(output) = output {
                app.out.print(
                    &format!("\n{}\n{}", app.out.tone(Tone::Dim, "answer"), clean(&output.text)),
                    &(),
                );
            }
        }
        None => app.out.note("prompt and answer are forgotten by the chain"),
    }
    Ok(())
}

/// What a job has cost or will, by name.
pub fn paid(job: &Job) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if job.delivered_height > 0 {
        lines.push(("charge", xpl_text(&job.charge_uxpl)));
        lines.push(("duty fee", xpl_text(&job.duty_fee_uxpl)));
    }
    let ended = matches!(job.state(), JobState::Settled | JobState::Refunded);
    if ended {
        lines.push(("refund", xpl_text(&job.refund_uxpl)));
    } else if job.delivered_height > 0 {
        let part = |text: &str| Amount::parse(text).unwrap_or_default();
        let left = part(&job.max_fee_uxpl)
            .minus(part(&job.charge_uxpl))
            .and_then(|left| left.minus(part(&job.duty_fee_uxpl)));
        if let Some(left) = left {
            lines.push(("refund", format!("{} when it settles", amount::xpl(left))));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState) -> Job {
        Job { id: 7, state: state.into(), max_fee_uxpl: "100".into(), ..Job::default() }
    }

    #[test]
    fn why_there_is_no_answer_is_said() {
        let output = Output { token_ids: vec![1], text: "hi".into() };
        let payload = Payload { input: "hello".into(), output: Some(output) };
        assert_eq!(answer_of(&job(JobState::Settled), Some(&payload)).unwrap().text, "hi");
        let why = |state, payload| answer_of(&job(state), payload).unwrap_err().message;
        assert!(why(JobState::Settled, None).contains("forgotten"));
        assert!(why(JobState::Assigned, Some(&payload)).contains("assigned"));
        let mut refunded = job(JobState::Refunded);
        refunded.outcome = Outcome::HostError.into();
        refunded.decline_reason = "too \u{1b}[31mbusy".into();
        let failure = answer_of(&refunded, None).unwrap_err();
        assert!(
            failure.message.contains("the provider failed") && !failure.message.contains('\u{1b}')
        );
    }

    #[test]
    fn the_refund_is_known_at_delivery() {
        let mut delivered = job(JobState::Delivered);
        (delivered.delivered_height, delivered.charge_uxpl, delivered.duty_fee_uxpl) =
            (5, "30".into(), "20".into());
        assert!(paid(&delivered).contains(&("refund", "0.00005 XPL when it settles".into())));
        assert!(paid(&job(JobState::Open)).is_empty());
    }
}
