//! Audits on a real chain between real rigs: honest work is found clean, a dispute is judged though a juror is gone,
//! and a rig that computes with other weights loses its pay and a part of its bond, and its stake in a larger jury.

use std::path::Path;

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec, until},
    process::{Process, Programs},
    rig::{OTHER_SEED, Rig, SMALL_JURIES, TINY_SEED, Weights, Xpl, amount},
};
use serde_json::Value;

const XPL: u128 = 1_000_000;
/// The first serves and publishes, the second cheats, the others judge: three from the beginning, and three more where a
/// larger jury is asked for.
const RIGS: u16 = 8;
const JURORS: usize = 3;
/// Jobs until the cheat surely got one of them: each goes to one of two.
const TRIES: usize = 40;

/// Windows that end soon, and few claims that are drawn.
const SET: [&str; 11] = [
    "market.dispute_window_blocks=2",
    "market.dispute_window_s=1",
    "attestation.audits.commit_blocks=40",
    "attestation.audits.commit_s=20",
    "attestation.audits.verdict_blocks=40",
    "attestation.audits.verdict_s=20",
    // Time enough to ask for a larger jury.
    "attestation.audits.appeal_blocks=30",
    "attestation.audits.appeal_s=5",
    // One clean claim, of whomever, and hardly any is drawn.
    "attestation.audits.rate_min_bps=100",
    "attestation.audits.decay_uxpl=1",
    "attestation.audits.payer_bps=10000",
];

struct World {
    network: Network,
    xpl: Xpl,
    model: String,
    rigs: Vec<Rig>,
}

impl World {
    /// The rigs, none of them running; the first serves, the last three judge.
    fn new(dir: &Path) -> Self {
        let programs = Programs::find().unwrap();
        let keyring = Xpl::new(&programs, &dir.join("xpl"));
        let alice = keyring.add_key("alice").unwrap();
        let rigs: Vec<Rig> = (0..RIGS)
            .map(|at| {
                let port = 29_520 + 4 * at;
                Rig::prepare(&programs, &keyring, dir, at.into(), port).unwrap()
            })
            .collect();
        let mut accounts = vec![GenesisAccount { address: alice, amount_uxpl: 100 * XPL }];
        accounts.extend(rigs.iter().flat_map(Rig::accounts));
        let spec = NetworkSpec {
            home: dir.into(),
            chain_id: "plasma-audits-1".into(),
            validators: 1,
            accounts,
            port_base: 29_500,
            timeout_commit: "300ms".into(),
            set: SET.into_iter().chain(SMALL_JURIES).map(String::from).collect(),
        };
        let network = Network::up(&spec, &programs).unwrap();
        let urls = network.validators[0].urls.clone();
        let xpl = keyring.at(&urls);
        let model = rigs[0].register(&xpl, &urls, &Weights::Tiny).unwrap();

        rigs[0].set_profile(&xpl, &model).unwrap();
        let world = Self { network, xpl, model, rigs };
        world.rigs.iter().rev().take(JURORS).for_each(|rig| world.join(rig));
        world
    }

    /// Makes a juror of a rig.
    fn join(&self, rig: &Rig) {
        rig.register(&self.xpl, &self.network.validators[0].urls, &Weights::Other).unwrap();
        assert_eq!(rig.judge(&Weights::Tiny).unwrap(), self.model);
        rig.join_pool(&self.xpl, &self.model).unwrap();
    }

    /// A job that this rig serves, of those that two serve, and what alice had before it.
    fn job_of(&self, rig: usize) -> (String, u128) {
        let of = || {
            let before = self.balance("alice");
            let id = self.submit();
            let job = self.job(&id, &["DELIVERED", "SETTLED", "REFUNDED"]);
            let is_its = job["provider"] == self.rigs[rig].operator_address.as_str();
            is_its.then_some((id, before))
        };
        (0..TRIES).find_map(|_| of()).expect("no job for one of two rigs")
    }

    fn submit(&self) -> String {
        let question = "Tell me a story about the sea.";
        self.xpl.submit(&self.model, "64", question).unwrap()
    }

    /// The job, when it is in one of these states.
    fn job(&self, id: &str, states: &[&str]) -> Value {
        until("a job's next state", || {
            let mut shown = self.xpl.json(&["job", "show", id]).ok()?;
            let job = shown["job"].take();
            states.iter().any(|state| job["state"] == format!("JOB_STATE_{state}")).then_some(job)
        })
        .unwrap()
    }

    fn audit(&self, id: &str) -> Option<Value> {
        let path = format!("/plasma/attestation/v1/audits/{id}");
        Some(self.network.validators[0].rest(&path).ok()?["audit"].take())
    }

    /// The audit, when it has ended.
    fn ended(&self, id: &str) -> Value {
        let ended = |audit: &Value| audit["state"] == "AUDIT_STATE_ENDED";
        until("an audit's end", || self.audit(id).filter(ended)).unwrap_or_else(|error| {
            panic!("{error}: {:?}", self.audit(id));
        })
    }

    fn balance(&self, of: &str) -> u128 {
        self.xpl.balance(of).unwrap()
    }

    fn bond(&self, rig: usize) -> u128 {
        self.xpl.bond(&self.rigs[rig].operator_address).unwrap()
    }
}

fn seats(audit: &Value) -> &[Value] {
    audit["seats"].as_array().unwrap()
}

#[test]
fn juries_of_rigs_pay_the_honest_and_convict_who_computes_with_other_weights() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let rigs = &world.rigs;
    let mut honest = rigs[0].start().unwrap();
    let mut jurors: Vec<Process> =
        rigs.iter().rev().take(JURORS).map(|rig| rig.start().unwrap()).collect();

    // A newcomer's first claim is audited, found clean, and paid; its jurors share a part.
    let first = world.submit();
    let audit = world.ended(&first);
    assert_eq!(audit["finding"], "FINDING_CLEAN", "{audit}\n{}", honest.log_tail());
    assert_eq!(audit["reason"], "AUDIT_REASON_LOT", "{audit}");
    assert_eq!(seats(&audit).len(), JURORS);
    assert!(seats(&audit).iter().all(|seat| seat["verdict"]["pass"] == true), "{audit}");
    assert!(seats(&audit).iter().all(|seat| amount(&seat["lost_uxpl"]) == 0), "{audit}");
    let job = world.job(&first, &["SETTLED"]);
    assert!(amount(&job["charge_uxpl"]) > 0, "{job}");

    // Then hardly any is drawn. One is disputed, while a juror is away: two find it clean, the
    // disputer's bond pays, the third loses a part of its seat.
    drop(jurors.remove(0));
    let away = &rigs[usize::from(RIGS) - 1].operator_address;
    let second = world.submit();
    world.job(&second, &["DELIVERED"]);
    let before = world.balance("alice");
    world.xpl.json(&["dispute", &second, "--bond", "10xpl", "--from", "alice"]).unwrap();
    assert!(before - world.balance("alice") >= 10 * XPL);
    let audit = world.ended(&second);
    assert_eq!(audit["finding"], "FINDING_CLEAN", "{audit}");
    assert_eq!(audit["reason"], "AUDIT_REASON_DISPUTE", "{audit}");
    for seat in seats(&audit) {
        let is_away = seat["juror"] == away.as_str();
        assert_eq!(amount(&seat["lost_uxpl"]) > 0, is_away, "{audit}");
        assert_eq!(amount(&seat["earned_uxpl"]) > XPL, !is_away, "{audit}");
    }
    world.job(&second, &["SETTLED"]);
    jurors.push(rigs[usize::from(RIGS) - 1].start().unwrap());

    // A rig with other weights in the right ones' place gets work, and is convicted of it.
    let urls = world.network.validators[0].urls.clone();
    rigs[1].register(&world.xpl, &urls, &Weights::Tiny).unwrap();
    let [right, wrong] = [TINY_SEED, OTHER_SEED].map(|seed| rigs[1].tiny_weights(seed).unwrap());
    rigs[1].swap_weights(&right, &wrong).unwrap();
    let cheat = rigs[1].start().unwrap();
    let bond = world.bond(1);
    let (third, paid) = world.job_of(1);
    let audit = world.ended(&third);
    assert_eq!(audit["finding"], "FINDING_CONVICTED", "{audit}\n{}", cheat.log_tail());
    assert!(seats(&audit).iter().all(|seat| seat["verdict"]["pass"] == false), "{audit}");
    let slashed = amount(&audit["slashed_uxpl"]);
    assert!(slashed >= 20 * XPL, "{audit}");
    assert_eq!(world.bond(1), bond - slashed);
    let earned: Vec<u128> = seats(&audit).iter().map(|seat| amount(&seat["earned_uxpl"])).collect();
    assert!(earned.iter().all(|earned| *earned > slashed / 40), "{audit}");
    let job = world.job(&third, &["REFUNDED"]);
    assert_eq!(job["outcome"], "OUTCOME_VOIDED", "{job}");
    // A proof is of the state before the newest block.
    let proven = until("a proven conviction", || {
        let shown = world.xpl.json(&["audit", "show", &third, "--prove"]).unwrap();
        assert!(shown["proof"]["header_hash"].is_string(), "{shown}");
        (shown["audit"]["finding"] == "FINDING_CONVICTED").then_some(shown)
    });
    proven.unwrap();
    // What former jobs did not need may have come back meanwhile.
    let fees = paid.saturating_sub(world.balance("alice"));
    assert!(fees < XPL, "refunded but for fees: {fees}");

    // Another profile of the model is a proposal until all who judge it have confirmed it.
    let xpl = &world.xpl;
    let own = rigs[0].home.join("calibration/profile.json");
    let mut wider: Value = serde_json::from_slice(&std::fs::read(own).unwrap()).unwrap();
    wider["margin_ppm_max"] = 30_000.into();
    let path = dir.path().join("wider.json");
    std::fs::write(&path, wider.to_string()).unwrap();
    let path = path.display().to_string();
    let set = ["audit", "set-profile", &world.model, &path, "--from", &rigs[0].operator];
    let proposed = xpl.json(&set).unwrap();
    assert_eq!(proposed["stands"], false, "{proposed}");
    let profile = || xpl.json(&["audit", "profile", &world.model, "--prove"]).unwrap();
    for rig in rigs.iter().rev().take(JURORS) {
        let shown = profile();
        assert_ne!(shown["profile"]["profile"]["margin_ppm_max"], 30_000, "{shown}");
        assert_eq!(shown["is_verified"], true, "{shown}");
        rig.confirm_profile(xpl, &world.model, proposed["profile_hash"].as_str().unwrap()).unwrap();
    }
    let shown = until("the other profile", || {
        let shown = profile();
        (shown["profile"]["profile"]["margin_ppm_max"] == 30_000).then_some(shown)
    });
    let shown = shown.unwrap();
    assert_eq!(shown["is_verified"], true, "{shown}");

    // The cheat wants a larger jury: three more rigs judge by then. It finds the same, and the cheat's stake is theirs.
    for rig in rigs.iter().rev().skip(JURORS).take(JURORS) {
        world.join(rig);
        jurors.push(rig.start().unwrap());
    }
    let (fourth, _) = world.job_of(1);
    let waits = |audit: &Value| audit["state"] == "AUDIT_STATE_APPEAL";
    until("a verdict", || world.audit(&fourth).filter(waits)).unwrap();
    let bond = world.bond(1);
    let before = world.balance(&rigs[1].operator);
    xpl.json(&["appeal", &fourth, "--from", &rigs[1].operator]).unwrap();
    let audit = world.ended(&fourth);
    assert_eq!(audit["finding"], "FINDING_CONVICTED", "{audit}\n{}", cheat.log_tail());
    let larger: Vec<&Value> = seats(&audit).iter().filter(|seat| seat["round"] == 1).collect();
    assert_eq!((seats(&audit).len(), larger.len()), (2 * JURORS, JURORS), "{audit}");
    assert!(larger.iter().all(|seat| seat["verdict"]["pass"] == false), "{audit}");
    let stake = amount(&audit["appeal_bond_uxpl"]);
    assert!(stake >= 50 * XPL && before - world.balance(&rigs[1].operator) >= stake, "{audit}");
    let slashed = amount(&audit["slashed_uxpl"]);
    assert_eq!(world.bond(1), bond - slashed);
    let shared: u128 = seats(&audit).iter().map(|seat| amount(&seat["earned_uxpl"])).sum();
    assert!(shared > stake, "{audit}");
    world.job(&fourth, &["REFUNDED"]);

    // Nobody else lost anything, and the state on disk is whole.
    assert_eq!(world.bond(0), 1_000 * XPL);
    honest.stop();
    drop((jurors, cheat));
    world.network.check_disk(&Programs::find().unwrap()).unwrap();
}
