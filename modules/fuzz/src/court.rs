//! A model whose claims are audited, and an audit in every phase.

use ed25519_dalek::Signer;
use plasma_modules::{
    Address,
    attestation::{
        Fingerprint, Leaf,
        audit::{
            self, DEFAULT_PROFILE as PROFILE, commit_digest, commitment, profile_hash,
            reveal_digest, verdict_digest,
        },
        evidence_root, leaf_count, leaf_hash,
    },
    market,
    types::Hash,
};
use plasma_proto::plasma::{
    attestation::v1::{
        Audit, AuditParams, AuditState, Measures, MsgAppeal, MsgCommitVerdict, MsgDispute,
        MsgJoinPool, MsgLeavePool, MsgRevealVerdict, MsgSetProfile, Profile, Verdict,
    },
    market::v1::{Job, JobState},
};
use prost_types::Any;

use super::{
    chain::{
        ALICE, BOB, CHAIN_ID, Chain, GROUP, OPERATOR, Terms, VALIDATOR_OPERATOR, XPL, address, any,
        text,
    },
    traffic::{
        JUDGED, Opening, answer, manifest, publish, receipt_key, register_without_asks, submit,
    },
};

const JURORS: [u8; 2] = [GROUP, VALIDATOR_OPERATOR];
const SALT: Hash = [7; 32];
/// What disputes and appeals put down.
const BOND_UXPL: u128 = 100 * XPL;

/// Juries of one, and phases that outlast what is tried on them.
pub fn numbers() -> AuditParams {
    AuditParams {
        jury: 1,
        threshold: 1,
        appeal_jury: 1,
        appeal_threshold: 1,
        pool_min: 1,
        leaves: 1,
        reveal_blocks: 30,
        reveal_s: 30,
        commit_blocks: 30,
        commit_s: 30,
        verdict_blocks: 30,
        verdict_s: 30,
        appeal_blocks: 30,
        appeal_s: 30,
        ..audit::default_params()
    }
}

fn model_id() -> Hash {
    market::model_id(&manifest(JUDGED))
}

fn profile(margin_ppm_max: u32) -> Any {
    any(&MsgSetProfile {
        publisher: text(ALICE),
        model_id: model_id().into(),
        profile: Some(Profile { margin_ppm_max, ..PROFILE }),
    })
}

fn join(seed: u8) -> Any {
    any(&MsgJoinPool {
        operator: text(seed),
        model_id: model_id().into(),
        profile_hash: profile_hash(&model_id(), &PROFILE).into(),
    })
}

/// The evidence of a job with three tokens: two leaves that no other job has.
fn leaves(job_id: u64) -> Vec<Vec<u8>> {
    let leaf = |index: u32| {
        let mut coefficients = [0; 128];
        coefficients[0] = u16::try_from(job_id % 60_000).unwrap_or_default();
        coefficients[1] = u16::try_from(index).unwrap_or_default();
        let fingerprint = Fingerprint { modulus: 65_497, coefficients };
        Leaf { fingerprint, projections: [[0; 8]; 32] }.to_bytes()
    };
    (0..leaf_count(3)).map(leaf).collect()
}

/// The root of a job's evidence.
pub fn root(job_id: u64) -> Hash {
    evidence_root(&leaves(job_id).iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>())
}

fn reveal(audit: &Audit) -> Any {
    let mut msg = audit::reveal_msg(audit.id, &audit.leaves, &leaves(audit.id))
        .expect("every leaf is at hand");
    msg.carrier = text(BOB);
    msg.signature = receipt_key(OPERATOR).sign(&reveal_digest(CHAIN_ID, &msg)).to_vec();
    any(&msg)
}

fn juror(audit: &Audit) -> u8 {
    let sits = |seed: &&u8| {
        audit.seats.iter().any(|seat| seat.round == audit.round && seat.juror == text(**seed))
    };
    *JURORS.iter().find(sits).expect("one of the jurors has the seat")
}

fn verdict(pass: bool) -> Verdict {
    let measures = Measures { tokens: 3, is_ended_well: pass, ..Measures::default() };
    Verdict { pass, measures: Some(measures), answer: vec![] }
}

fn commit(audit: &Audit, pass: bool) -> Any {
    let (seed, round) = (juror(audit), audit.round);
    let who: Address = address(seed);
    let commitment = commitment(CHAIN_ID, audit.id, round, who, &verdict(pass), &SALT);
    let digest = commit_digest(CHAIN_ID, audit.id, round, who, &commitment);
    any(&MsgCommitVerdict {
        carrier: text(BOB),
        audit_id: audit.id,
        juror: who.text(),
        commitment: commitment.into(),
        signature: receipt_key(seed).sign(&digest).to_vec(),
    })
}

fn open(audit: &Audit, pass: bool) -> Any {
    let (seed, round) = (juror(audit), audit.round);
    let who = address(seed);
    let verdict = verdict(pass);
    let digest = verdict_digest(CHAIN_ID, audit.id, round, who, &verdict, &SALT);
    any(&MsgRevealVerdict {
        carrier: text(BOB),
        audit_id: audit.id,
        juror: who.text(),
        verdict: Some(verdict),
        salt: SALT.into(),
        signature: receipt_key(seed).sign(&digest).to_vec(),
    })
}

/// Opens the pool, and leads an audit into each phase: jobs of a model of their own.
pub fn sit(chain: &mut Chain, blocks: &mut Opening) {
    carry_out(chain, blocks, ALICE, vec![publish(JUDGED), profile(PROFILE.margin_ppm_max)]);
    carry_out(chain, blocks, OPERATOR, vec![super::traffic::serve_all(OPERATOR)]);
    for seed in JURORS {
        carry_out(chain, blocks, seed, vec![register_without_asks(seed), join(seed)]);
    }
    carry_out(chain, blocks, ALICE, vec![submit(JUDGED); 5]);
    pass(chain, blocks);
    let answers = claims(chain);
    assert_eq!(answers.len(), 5);
    carry_out(chain, blocks, OPERATOR, answers);
    pass(chain, blocks);
    pass(chain, blocks);
    let at = |chain: &Chain, state: AuditState| -> Vec<Audit> {
        audits(chain).into_iter().filter(|audit| audit.state() == state).collect()
    };
    let shown = at(chain, AuditState::Reveal);
    carry_out(chain, blocks, BOB, shown[1..].iter().map(reveal).collect());
    let judging = at(chain, AuditState::Commit);
    carry_out(chain, blocks, BOB, judging[1..].iter().map(|audit| commit(audit, false)).collect());
    let judged = at(chain, AuditState::Verdict);
    let found = judged[judged.len() - 2..].iter().map(|audit| open(audit, false)).collect();
    carry_out(chain, blocks, BOB, found);
    let convicted = at(chain, AuditState::Appeal);
    carry_out(chain, blocks, OPERATOR, vec![appeal(convicted[0].id)]);
    carry_out(chain, blocks, ALICE, vec![submit(JUDGED); 2]);
    pass(chain, blocks);
}

/// Two claims that wait for their lot, one of them disputed; the other can be in the next block.
pub fn claim(chain: &mut Chain, blocks: &mut Opening) {
    let mut claims = claims(chain);
    assert_eq!(claims.len(), 2);
    let last = claims.split_off(1);
    carry_out(chain, blocks, OPERATOR, claims);
    let audits = audits(chain);
    let disputed = audits.iter().find(|audit| audit.state() == AuditState::Lot);
    carry_out(chain, blocks, BOB, vec![dispute(disputed.expect("a claim waits").id)]);
    carry_out(chain, blocks, OPERATOR, last);
}

fn dispute(job_id: u64) -> Any {
    any(&MsgDispute { disputer: text(BOB), job_id, bond_uxpl: BOND_UXPL.to_string() })
}

fn appeal(audit_id: u64) -> Any {
    any(&MsgAppeal { operator: text(OPERATOR), audit_id, bond_uxpl: BOND_UXPL.to_string() })
}

fn audits(chain: &Chain) -> Vec<Audit> {
    (1..60).filter_map(|id| audit::audit(&chain.store, id)).collect()
}

/// A block with one transaction, which is carried out.
pub fn carry_out(chain: &mut Chain, blocks: &mut Opening, seed: u8, messages: Vec<Any>) {
    let tx = chain.tx(seed, Terms::default(), messages);
    let output = chain.run(&[&tx]);
    assert_eq!(output.txs[0].code, 0, "the chain begins well: {}", output.txs[0].log);
    blocks.push(vec![tx]);
}

/// A block with none.
pub fn pass(chain: &mut Chain, blocks: &mut Opening) {
    chain.run(&[]);
    blocks.push(vec![]);
}

/// Answers to the assigned jobs of the model that is judged.
fn claims(chain: &Chain) -> Vec<Any> {
    let judged = |job: &Job| job.model_id == model_id() && job.state() == JobState::Assigned;
    let jobs = chain.jobs().filter(judged);
    jobs.map(|job| any(&answer(&job, &receipt_key(OPERATOR), OPERATOR))).collect()
}

/// What would be done with the audits under way, and with their pool.
pub fn messages(chain: &Chain) -> Vec<(u8, Any)> {
    let leave = MsgLeavePool { operator: text(GROUP), model_id: model_id().into() };
    let mut messages =
        vec![(ALICE, profile(21_000)), (OPERATOR, join(OPERATOR)), (GROUP, any(&leave))];
    for audit in audits(chain) {
        messages.extend(match audit.state() {
            AuditState::Lot => Some((BOB, dispute(audit.id))),
            AuditState::Reveal => Some((BOB, reveal(&audit))),
            AuditState::Commit => Some((BOB, commit(&audit, true))),
            AuditState::Verdict => Some((BOB, open(&audit, false))),
            AuditState::Appeal => Some((OPERATOR, appeal(audit.id))),
            _ => None,
        });
    }
    messages
}
