//! How long each call of CometBFT takes.

use std::{sync::Arc, time::Instant};

use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestCheckTx, RequestEcho, RequestExtendVote,
    RequestFinalizeBlock, RequestInfo, RequestInitChain, RequestLoadSnapshotChunk,
    RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal, RequestQuery,
    RequestVerifyVoteExtension, ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit,
    ResponseEcho, ResponseExtendVote, ResponseFinalizeBlock, ResponseFlush, ResponseInfo,
    ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal, ResponseQuery, ResponseVerifyVoteExtension,
};

use crate::metrics::Metrics;

/// An application whose calls are timed.
#[derive(Clone)]
pub struct Timed<A> {
    app: A,
    metrics: Arc<Metrics>,
}

impl<A> Timed<A> {
    /// Times the calls of `app`.
    pub fn new(app: A, metrics: Arc<Metrics>) -> Self {
        Self { app, metrics }
    }
}

macro_rules! timed {
    ($($name:ident($request:ty) -> $response:ty;)+) => {$(
        fn $name(&self, request: $request) -> $response {
            let started = Instant::now();
            let response = self.app.$name(request);
            self.metrics.called(stringify!($name), started.elapsed());
            response
        }
    )+};
}

impl<A: Application> Application for Timed<A> {
    timed! {
        info(RequestInfo) -> ResponseInfo;
        init_chain(RequestInitChain) -> ResponseInitChain;
        query(RequestQuery) -> ResponseQuery;
        check_tx(RequestCheckTx) -> ResponseCheckTx;
        prepare_proposal(RequestPrepareProposal) -> ResponsePrepareProposal;
        process_proposal(RequestProcessProposal) -> ResponseProcessProposal;
        extend_vote(RequestExtendVote) -> ResponseExtendVote;
        verify_vote_extension(RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension;
        finalize_block(RequestFinalizeBlock) -> ResponseFinalizeBlock;
        offer_snapshot(RequestOfferSnapshot) -> ResponseOfferSnapshot;
        load_snapshot_chunk(RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk;
        apply_snapshot_chunk(RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk;
    }

    fn commit(&self) -> ResponseCommit {
        let started = Instant::now();
        let response = self.app.commit();
        self.metrics.called("commit", started.elapsed());
        response
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        let started = Instant::now();
        let response = self.app.list_snapshots();
        self.metrics.called("list_snapshots", started.elapsed());
        response
    }

    fn echo(&self, request: RequestEcho) -> ResponseEcho {
        self.app.echo(request)
    }

    fn flush(&self) -> ResponseFlush {
        self.app.flush()
    }
}
