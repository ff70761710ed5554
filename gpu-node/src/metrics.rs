//! What the node has done, for Prometheus. Never texts of requests, never keys.

use std::sync::atomic::AtomicU64;

use plasma_proto::plasma::market::v1::Outcome;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// One label with a value that the code names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label(&'static str, &'static str);

impl EncodeLabelSet for Label {
    fn encode(&self, encoder: LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [(self.0, self.1)].encode(encoder)
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    jobs: Family<Label, Counter>,
    tokens: Family<Label, Counter>,
    /// From assignment seen to answer written, seconds.
    pub job_seconds: Histogram,
    /// Jobs that run now.
    pub running: Gauge,
    /// Answers that wait to be sent.
    pub outbox_depth: Gauge,
    /// The reporter account's balance, uxpl.
    pub reporter_balance_uxpl: Gauge<u64, AtomicU64>,
    /// The operator account's balance, uxpl.
    pub operator_balance_uxpl: Gauge<u64, AtomicU64>,
    /// Newest height seen.
    pub chain_height: Gauge<u64, AtomicU64>,
    /// 1 while the chain answers.
    pub chain_up: Gauge,
    /// 1 while the reporter account cannot pay.
    pub reporter_out_of_funds: Gauge,
    transactions: Family<Label, Counter>,
    requests: Family<Label, Counter>,
    /// Duties of audits that are open.
    pub duties_open: Gauge,
    duties: Family<Label, Counter>,
    /// Referee games about this operator's claims that have not ended.
    pub games_open: Gauge,
    moves: Family<Label, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at nothing.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("gpu_node"),
            jobs: Family::default(),
            tokens: Family::default(),
            job_seconds: Histogram::new(exponential_buckets(0.05, 2.0, 14)),
            running: Gauge::default(),
            outbox_depth: Gauge::default(),
            reporter_balance_uxpl: Gauge::default(),
            operator_balance_uxpl: Gauge::default(),
            chain_height: Gauge::default(),
            chain_up: Gauge::default(),
            reporter_out_of_funds: Gauge::default(),
            transactions: Family::default(),
            requests: Family::default(),
            duties_open: Gauge::default(),
            duties: Family::default(),
            games_open: Gauge::default(),
            moves: Family::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("jobs", "Jobs answered, by outcome", self.jobs.clone());
        registry.register("tokens", "Tokens of jobs, read and written", self.tokens.clone());
        registry.register_with_unit(
            "job",
            "From an assignment seen to its answer written",
            Unit::Seconds,
            self.job_seconds.clone(),
        );
        registry.register("jobs_running", "Jobs that run now", self.running.clone());
        registry.register(
            "outbox_depth",
            "Answers that wait to be sent",
            self.outbox_depth.clone(),
        );
        registry.register(
            "reporter_balance_uxpl",
            "Balance of the account that carries receipts",
            self.reporter_balance_uxpl.clone(),
        );
        registry.register(
            "operator_balance_uxpl",
            "Balance of the operator's account",
            self.operator_balance_uxpl.clone(),
        );
        registry.register("chain_height", "Newest height seen", self.chain_height.clone());
        registry.register("chain_up", "1 while the chain answers", self.chain_up.clone());
        registry.register(
            "reporter_out_of_funds",
            "1 while the account that carries receipts cannot pay",
            self.reporter_out_of_funds.clone(),
        );
        registry.register(
            "transactions",
            "Transactions with answers, by result",
            self.transactions.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the local interface, by result",
            self.requests.clone(),
        );
        registry.register(
            "audit_duties_open",
            "Duties of audits that this operator owes now",
            self.duties_open.clone(),
        );
        registry.register(
            "audit_duties",
            "Duties of audits, by what became of them",
            self.duties.clone(),
        );
        registry.register(
            "games_open",
            "Referee games about this operator's claims that have not ended",
            self.games_open.clone(),
        );
        registry.register(
            "game_moves",
            "Moves in referee games, by what became of them",
            self.moves.clone(),
        );
        self
    }

    /// A job was answered with this outcome.
    pub fn job(&self, outcome: Outcome) {
        self.jobs.get_or_create(&Label("outcome", outcome.as_str_name())).inc();
    }

    /// A job's tokens.
    pub fn tokens(&self, read: usize, written: usize) {
        for (kind, count) in [("input", read), ("output", written)] {
            self.tokens
                .get_or_create(&Label("kind", kind))
                .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// A transaction with answers ended as `result`.
    pub fn transaction(&self, result: &'static str) {
        self.transactions.get_or_create(&Label("result", result)).inc();
    }

    /// A duty of an audit became `what`: `reveal`, `commit`, `verdict` when done, else `missed`.
    pub fn duty(&self, what: &'static str) {
        self.duties.get_or_create(&Label("what", what)).inc();
    }

    /// A move in a game was `made` or `refused`; `not_computed` is a game that cannot be defended.
    pub fn game_move(&self, what: &'static str) {
        self.moves.get_or_create(&Label("what", what)).inc();
    }

    /// A request to the local interface ended as `result`.
    pub fn request(&self, result: &'static str) {
        self.requests.get_or_create(&Label("result", result)).inc();
    }

    /// All of it in the text format of Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.job(Outcome::Ok);
        metrics.job(Outcome::Ok);
        metrics.tokens(5, 7);
        metrics.job_seconds.observe(0.2);
        metrics.outbox_depth.set(3);
        metrics.reporter_balance_uxpl.set(1_000_000);
        let text = metrics.text();
        for line in [
            "gpu_node_jobs_total{outcome=\"OUTCOME_OK\"} 2",
            "gpu_node_tokens_total{kind=\"output\"} 7",
            "gpu_node_job_seconds_count 1",
            "gpu_node_outbox_depth 3",
            "gpu_node_reporter_balance_uxpl 1000000",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
