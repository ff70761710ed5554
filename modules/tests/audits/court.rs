//! A market with a verified model, a pool of jurors, and what they do.

pub use plasma_modules::{
    attestation::{
        Fingerprint, Leaf,
        audit::{
            self, DEFAULT_PROFILE as PROFILE, commit_digest, commitment, default_params,
            profile_hash, reveal_digest, verdict_digest,
        },
        evidence_root, leaf_count, leaf_hash,
    },
    types::Hash,
};
pub use plasma_proto::plasma::attestation::v1::*;

pub use crate::net::*;

/// What a juror says of a claim.
pub const P: Option<bool> = Some(true);
pub const F: Option<bool> = Some(false);

/// Who serves the model, and is audited.
pub const PROVIDER: Address = OPERATORS[0];
pub const DISPUTER: Address = USERS[1];
/// Bond of the provider and of each juror.
pub const BOND: u128 = 1_000 * XPL;

/// Measures of honest work, and of none.
pub fn measures(pass: bool) -> Measures {
    let margin_ppm = if pass { 3_000 } else { 400_000 };
    Measures { margin_ppm, tokens: 40, is_ended_well: true, ..Measures::default() }
}

pub fn verdict(pass: bool) -> Verdict {
    Verdict { pass, measures: Some(measures(pass)), answer: answer(0) }
}

/// The answer of a juror that looked, with so much noise; up to 200 is near enough.
pub fn answer(noise: u16) -> Vec<u8> {
    (0..32u16).flat_map(|at| (0x6400 | (at * 7 + noise)).to_be_bytes()).collect()
}

pub fn salt(juror: Address) -> Hash {
    plasma_modules::types::sha256(&juror.0)
}

/// Small juries and short windows.
pub fn numbers() -> AuditParams {
    AuditParams {
        jury: 3,
        threshold: 2,
        appeal_jury: 5,
        appeal_threshold: 3,
        pool_min: 6,
        pool_max: 30,
        leaves: 2,
        fee_bps: 1_000,
        reveal_blocks: 3,
        reveal_s: 6,
        commit_blocks: 3,
        commit_s: 6,
        verdict_blocks: 3,
        verdict_s: 6,
        appeal_blocks: 3,
        appeal_s: 6,
        ..default_params()
    }
}

pub struct Court {
    pub net: Net,
    pub jurors: Vec<Address>,
    /// What claims are sampled by.
    pub sampling: Sampling,
}

impl Court {
    /// One provider, and `jurors` in the pool of its model.
    pub fn new(numbers: AuditParams, jurors: u8) -> Self {
        Self::with(numbers, jurors, |_| ())
    }

    /// As [`Self::new`], from a genesis that `change` has changed.
    pub fn with(numbers: AuditParams, jurors: u8, change: impl FnOnce(&mut GenesisState)) -> Self {
        let jurors: Vec<_> = (0..jurors).map(|at| Address([0x21 + at; 20])).collect();
        let mut genesis = genesis(params());
        let balances = &mut genesis.token.as_mut().unwrap().balances;
        let coins = balances[0].coins.clone();
        let balance = |juror: &Address| Balance { address: juror.text(), coins: coins.clone() };
        balances.extend(jurors.iter().map(balance));
        balances.sort_by_key(|balance| Address::parse(&balance.address).unwrap());
        for balance in balances.iter_mut() {
            if balance.address != Address::of_module("bonded_tokens_pool").text() {
                balance.coins[0].amount = START.to_string();
            }
        }
        let attestation = genesis.attestation.as_mut().unwrap();
        attestation.params.as_mut().unwrap().audits = Some(numbers);
        change(&mut genesis);
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN, 1_000, &genesis).unwrap();
        let net = Net {
            store,
            block: block(1, 1_000),
            events: vec![],
            fee_units: 0,
            plays_audits: false,
        };
        let sampling = Sampling { temperature_milli: 800, top_p_milli: 950, seed: 1 };
        let mut court = Self { net, jurors, sampling };
        let model = court.net.publish("base", 200).unwrap();
        court.net.register(PROVIDER, BOND, vec![ask(&model, 16)]).unwrap();
        court.set_profile(PROFILE).unwrap();
        for juror in court.jurors.clone() {
            court.net.register(juror, BOND, vec![]).unwrap();
            court.join(juror).unwrap();
        }
        court
    }

    /// As [`Self::new`]; the provider is one whose rate is down to the least.
    pub fn known(numbers: AuditParams, jurors: u8) -> Self {
        Self::with(numbers, jurors, make_known)
    }

    /// The account from which audits of the model are paid.
    pub fn purse(&self) -> Address {
        market::audit_purse(&self.model())
    }

    /// What a claim pays into it: a tenth of its charge here.
    pub fn fee_of(&self, id: u64) -> u128 {
        self.net.job(id).charge_uxpl.parse::<u128>().unwrap() / 10
    }

    pub fn model(&self) -> Hash {
        self.net.model().try_into().unwrap()
    }

    pub fn set_profile(&mut self, profile: Profile) -> Result<MsgSetProfileResponse, Refusal> {
        let msg = audit::SetProfile::new(MsgSetProfile {
            publisher: PUBLISHER.text(),
            model_id: self.model().into(),
            profile: Some(profile),
        })?;
        self.net.run(PUBLISHER, |ctx| audit::set_profile(ctx, msg))
    }

    pub fn join(&mut self, operator: Address) -> Result<(), Refusal> {
        self.join_for(operator, profile_hash(&self.model(), &PROFILE))
    }

    pub fn join_for(&mut self, operator: Address, profile: Hash) -> Result<(), Refusal> {
        let msg = audit::JoinPool::new(MsgJoinPool {
            operator: operator.text(),
            model_id: self.model().into(),
            profile_hash: profile.into(),
        })?;
        self.net.run(operator, |ctx| audit::join_pool(ctx, msg)).map(drop)
    }

    pub fn leave(&mut self, operator: Address) -> Result<(), Refusal> {
        let msg = audit::LeavePool::new(MsgLeavePool {
            operator: operator.text(),
            model_id: self.model().into(),
        })?;
        self.net.run(operator, |ctx| audit::leave_pool(ctx, msg)).map(drop)
    }

    /// Ends blocks of two seconds each.
    pub fn end(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.end_quickly();
            chain::check_invariants(&self.net.store).unwrap();
        }
    }

    /// One block, whose invariants nobody checks.
    pub fn end_quickly(&mut self) {
        self.net
            .run(Address::default(), |ctx| {
                market::end_block(ctx);
                market::take_settled(ctx.store);
                attestation::end_block(ctx);
                Ok::<_, Refusal>(())
            })
            .unwrap();
        let Block { height, time_s, .. } = self.net.block;
        self.net.block = block(height + 1, time_s + 2);
    }

    /// What goes on from an export is what was exported.
    pub fn check_export(&self) {
        let mut store = Memory::default();
        let genesis = chain::export(&self.net.store);
        chain::init(&mut store, CHAIN, self.net.block.time_s, &genesis).unwrap();
        assert_eq!(chain::export(&store), genesis);
        chain::check_invariants(&store).unwrap();
        use plasma_modules::Read;
        for table in
            [0x72u8, 0x73, 0x74, 0x75, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81]
        {
            let pairs = |store: &Memory| store.scan(&[table]).collect::<Vec<_>>();
            assert_eq!(pairs(&store), pairs(&self.net.store), "{table:#x}");
        }
    }

    /// A claim of the provider for a job of `payer`.
    pub fn claim_of(&mut self, payer: Address) -> u64 {
        self.claim_for(job_for(payer, &self.net.model()))
    }

    /// A claim of the provider for this job.
    pub fn claim_for(&mut self, job: MsgSubmitJob) -> u64 {
        let id = self.net.submit(MsgSubmitJob { sampling: Some(self.sampling), ..job }).unwrap();
        self.end_quickly();
        self.end_quickly();
        let job = self.net.job(id);
        let mut msg = self.net.answer(&job, 40);
        msg.receipt.as_mut().unwrap().fingerprint_root = evidence_root(&names(&leaves(id))).into();
        let msg = signed(msg, PROVIDER);
        self.net.receipt(PROVIDER, msg).unwrap();
        id
    }

    pub fn claim(&mut self) -> u64 {
        self.claim_of(USERS[0])
    }

    /// A claim whose jury is drawn.
    pub fn audited(&mut self) -> u64 {
        let id = self.claim();
        self.end(3);
        assert_eq!(self.audit(id).state(), AuditState::Reveal);
        id
    }

    pub fn audit(&self, id: u64) -> Audit {
        audit::audit(&self.net.store, id).unwrap()
    }

    /// The jurors of the round under way.
    pub fn jury(&self, id: u64) -> Vec<Address> {
        let Audit { seats, round, .. } = self.audit(id);
        let seats = seats.iter().filter(|seat| seat.round == round);
        seats.map(|seat| Address::parse(&seat.juror).unwrap()).collect()
    }

    pub fn reveal_msg(&self, id: u64) -> MsgReveal {
        let drawn = self.audit(id).leaves;
        let msg = audit::reveal_msg(id, &drawn, &leaves(id)).unwrap();
        sign_reveal(MsgReveal { carrier: USERS[2].text(), ..msg })
    }

    pub fn reveal_as(&mut self, msg: MsgReveal) -> Result<(), Refusal> {
        let msg = audit::Reveal::new(msg)?;
        self.net.run(msg.signer(), |ctx| audit::reveal(ctx, msg)).map(drop)
    }

    pub fn reveal(&mut self, id: u64) {
        self.reveal_as(self.reveal_msg(id)).unwrap();
        self.end(1);
        assert_eq!(self.audit(id).state(), AuditState::Commit);
    }

    pub fn commit_msg(&self, id: u64, juror: Address, pass: bool) -> MsgCommitVerdict {
        self.commit_msg_to(id, juror, &verdict(pass))
    }

    pub fn commit_msg_to(&self, id: u64, juror: Address, verdict: &Verdict) -> MsgCommitVerdict {
        let round = self.audit(id).round;
        let commitment = commitment(CHAIN, id, round, juror, verdict, &salt(juror));
        let digest = commit_digest(CHAIN, id, round, juror, &commitment);
        MsgCommitVerdict {
            carrier: USERS[2].text(),
            audit_id: id,
            juror: juror.text(),
            commitment: commitment.into(),
            signature: key_of(juror).sign(&digest).to_bytes().into(),
        }
    }

    pub fn commit_as(&mut self, msg: MsgCommitVerdict) -> Result<(), Refusal> {
        let msg = audit::CommitVerdict::new(msg)?;
        self.net.run(msg.signer(), |ctx| audit::commit_verdict(ctx, msg)).map(drop)
    }

    pub fn verdict_msg(&self, id: u64, juror: Address, verdict: Verdict) -> MsgRevealVerdict {
        let round = self.audit(id).round;
        let digest = verdict_digest(CHAIN, id, round, juror, &verdict, &salt(juror));
        MsgRevealVerdict {
            carrier: USERS[2].text(),
            audit_id: id,
            juror: juror.text(),
            verdict: Some(verdict),
            salt: salt(juror).into(),
            signature: key_of(juror).sign(&digest).to_bytes().into(),
        }
    }

    pub fn open_as(&mut self, msg: MsgRevealVerdict) -> Result<(), Refusal> {
        let msg = audit::RevealVerdict::new(msg)?;
        self.net.run(msg.signer(), |ctx| audit::reveal_verdict(ctx, msg)).map(drop)
    }

    /// Jurors in the order of their seats say this, or nothing; then the count.
    pub fn judge(&mut self, id: u64, says: &[Option<bool>]) {
        let says: Vec<_> = says.iter().map(|says| says.map(verdict)).collect();
        self.judge_with(id, &says);
    }

    /// As [`Self::judge`], with these verdicts.
    pub fn judge_with(&mut self, id: u64, says: &[Option<Verdict>]) {
        let jury = self.jury(id);
        assert_eq!(jury.len(), says.len());
        for (juror, says) in jury.iter().zip(says) {
            if let Some(verdict) = says {
                self.commit_as(self.commit_msg_to(id, *juror, verdict)).unwrap();
            }
        }
        self.end(if says.contains(&None) { 4 } else { 1 });
        for (juror, says) in jury.iter().zip(says) {
            if let Some(verdict) = says {
                self.open_as(self.verdict_msg(id, *juror, verdict.clone())).unwrap();
            }
        }
        self.end(1);
    }

    /// A claim on which the jury says this; its audit has ended, or waits for an appeal.
    pub fn judged(&mut self, says: &[Option<bool>]) -> u64 {
        let id = self.audited();
        self.reveal(id);
        self.judge(id, says);
        id
    }

    pub fn appeal(&mut self, id: u64, by: Address, bond: u128) -> Result<(), Refusal> {
        let msg = audit::Appeal::new(MsgAppeal {
            operator: by.text(),
            audit_id: id,
            bond_uxpl: bond.to_string(),
        })?;
        self.net.run(by, |ctx| audit::appeal(ctx, msg)).map(drop)
    }

    pub fn dispute(&mut self, job_id: u64, bond: u128) -> Result<(), Refusal> {
        let msg = audit::Dispute::new(MsgDispute {
            disputer: DISPUTER.text(),
            job_id,
            bond_uxpl: bond.to_string(),
        })?;
        self.net.run(DISPUTER, |ctx| audit::dispute(ctx, msg)).map(drop)
    }

    pub fn standing(&self) -> Standing {
        audit::standing(&self.net.store, PROVIDER)
    }

    pub fn bond(&self, operator: Address) -> u128 {
        self.net.provider(operator).unwrap().bond_uxpl.parse().unwrap()
    }
}

/// From this genesis on the provider is one whose rate is down to the least.
pub fn make_known(genesis: &mut GenesisState) {
    genesis.attestation.as_mut().unwrap().standings = vec![Standing {
        operator: PROVIDER.text(),
        clean_uxpl: (500 * XPL).to_string(),
        ..Standing::default()
    }];
}

pub fn sign_reveal(mut msg: MsgReveal) -> MsgReveal {
    msg.signature = key_of(PROVIDER).sign(&reveal_digest(CHAIN, &msg)).to_bytes().into();
    msg
}

/// The evidence of a job with 40 tokens: three leaves that no other job has.
pub fn leaves(job_id: u64) -> Vec<Vec<u8>> {
    let leaf = |index: u32| {
        let mut coefficients = [0; 128];
        coefficients[0] = u16::try_from(job_id % 60_000).unwrap();
        coefficients[1] = u16::try_from(index).unwrap();
        let fingerprint = Fingerprint { modulus: 65_497, coefficients };
        Leaf { fingerprint, projections: [[0; 8]; 32] }.to_bytes()
    };
    (0..leaf_count(40)).map(leaf).collect()
}

pub fn names(leaves: &[Vec<u8>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}
