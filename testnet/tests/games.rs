//! Referee games on a real chain between real programs: a claim computed with other weights is found false by one tile,
//! an honest one stands, silence loses.

use std::path::Path;

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec, until},
    process::Programs,
    rig::{OTHER_SEED, Rig, TINY_SEED, Weights, Xpl, amount},
};
use serde_json::Value;

const XPL: u128 = 1_000_000;
/// What a challenger puts down: the chain's default.
const BOND_UXPL: u128 = 20 * XPL;

/// Claims can be challenged for long; who must move has little time.
const SET: [&str; 10] = [
    "market.dispute_window_blocks=200",
    "market.dispute_window_s=60",
    "attestation.games.defend_blocks=40",
    "attestation.games.defend_s=15",
    "attestation.games.round_blocks=100",
    "attestation.games.round_s=60",
    "attestation.games.prove_blocks=40",
    "attestation.games.prove_s=15",
    "attestation.games.rest_blocks=3",
    "attestation.games.rest_s=1",
];

struct World {
    network: Network,
    xpl: Xpl,
    model: String,
    /// It serves; its operator has published the model.
    rig: Rig,
    /// Has the model, and challenges.
    challenger: Rig,
}

impl World {
    fn new(dir: &Path) -> Self {
        let programs = Programs::find().unwrap();
        let keyring = Xpl::new(&programs, &dir.join("xpl"));
        let people = ["alice", "bob"].map(|name| GenesisAccount {
            address: keyring.add_key(name).unwrap(),
            amount_uxpl: 100 * XPL,
        });
        let [rig, challenger] = [(0, 29_570), (1, 29_580)]
            .map(|(at, port)| Rig::prepare(&programs, &keyring, dir, at, port).unwrap());
        let mut accounts: Vec<GenesisAccount> = people.into();
        accounts.extend(rig.accounts().into_iter().chain(challenger.accounts()));
        let spec = NetworkSpec {
            home: dir.into(),
            chain_id: "plasma-games-1".into(),
            validators: 1,
            accounts,
            port_base: 29_550,
            timeout_commit: "300ms".into(),
            set: SET.map(String::from).into(),
        };
        let network = Network::up(&spec, &programs).unwrap();
        let urls = network.validators[0].urls.clone();
        let xpl = keyring.at(&urls);
        let model = rig.register(&xpl, &urls, &Weights::Tiny).unwrap();
        rig.use_referee().unwrap();
        challenger.register(&xpl, &urls, &Weights::Other).unwrap();
        assert_eq!(challenger.add_model(&Weights::Tiny).unwrap(), model);
        Self { network, xpl, model, rig, challenger }
    }

    /// A greedy job's id, when its claim is there.
    fn delivered(&self) -> String {
        let id = self.xpl.submit(&self.model, "12", "Tell me a story about the sea.").unwrap();
        self.job(&id, "DELIVERED");
        id
    }

    /// The job, when it is in this state.
    fn job(&self, id: &str, state: &str) -> Value {
        until("a job's next state", || {
            let job = self.xpl.json(&["job", "show", id]).ok()?["job"].take();
            (job["state"] == format!("JOB_STATE_{state}")).then_some(job)
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", self.xpl.json(&["job", "show", id])))
    }

    /// Bob challenges the job's claim, and plays to the end.
    fn challenge(&self, id: &str, more: &[&str]) -> Result<String, String> {
        let flags = ["--key", "--key-password-file"];
        let command = [&["challenge", id], more].concat();
        let told = self.challenger.signed(&self.xpl, "bob", flags, &command);
        told.map_err(|error| format!("{error:#}"))
    }

    fn game(&self, id: &str) -> Value {
        let path = format!("/plasma/attestation/v1/games/{id}");
        self.network.validators[0].rest(&path).unwrap()["game"].take()
    }

    fn balance(&self, of: &str) -> u128 {
        self.xpl.balance(of).unwrap()
    }

    fn bond(&self) -> u128 {
        self.xpl.bond(&self.rig.operator_address).unwrap()
    }
}

#[test]
fn one_tile_convicts_other_weights_and_honest_work_stands() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let World { rig, challenger, xpl, model, .. } = &world;

    // A rig with other weights is at work before the chain knows the right ones' root.
    let [right, wrong] = [TINY_SEED, OTHER_SEED].map(|seed| rig.tiny_weights(seed).unwrap());
    rig.swap_weights(&right, &wrong).unwrap();
    let mut node = rig.start().unwrap();
    let flags = ["--key", "--key-password-file"];
    challenger.signed(xpl, &rig.operator, flags, &["set-referee", model]).unwrap();
    let before = world.bond();
    let first = world.delivered();
    let bob = world.balance("bob");
    world.challenge(&first, &[]).unwrap_or_else(|error| panic!("{error}\n{}", node.log_tail()));
    let game = world.game(&first);
    assert_eq!(game["finding"], "FINDING_CONVICTED", "{game}");
    let told = xpl.json(&["game", "show", &first]).unwrap();
    assert_eq!(told["game"]["finding"], game["finding"], "{told}");
    let told = xpl.json(&["game", "list", "--operator", &rig.operator_address]).unwrap();
    assert_eq!(told[0]["id"], game["id"], "{told}");
    let slashed = amount(&game["slashed_uxpl"]);
    assert!(slashed >= 20 * XPL, "{game}");
    assert_eq!(world.bond(), before - slashed);
    // A tenth of the slash is bob's, less his fees; his bond came back.
    let gained = world.balance("bob") - bob;
    assert!(gained > slashed / 20 && gained <= slashed / 10, "{gained} of {slashed}");
    assert_eq!(world.job(&first, "REFUNDED")["outcome"], "OUTCOME_VOIDED");

    // Such a rig does not start again, with the right weights it does, and anybody has its bits.
    node.stop();
    let refused = rig.start().err().expect("a root that is not the chain's").to_string();
    assert!(refused.contains("another root of the model's weights"), "{refused}");
    rig.swap_weights(&wrong, &right).unwrap();
    let mut node = rig.start().unwrap();
    let second = world.delivered();
    let models = challenger.home.join("models").display().to_string();
    let told = xpl.json(&["verify", &second, "--models", &models]).unwrap();
    assert_eq!((&told["verified"], &told["tier"]), (&true.into(), &"exact".into()), "{told}");

    // Who challenges it is told so, and loses the bond if he does all the same.
    let before = (world.bond(), world.balance(&rig.operator));
    let told = world.challenge(&second, &[]).unwrap_err();
    assert!(told.contains("the claim is what the model gives"), "{told}");
    let bob = world.balance("bob");
    let told = world.challenge(&second, &["--anyway"]).unwrap_err();
    assert!(told.contains("the challenge is lost"), "{told}\n{}", node.log_tail());
    assert!(bob - world.balance("bob") >= BOND_UXPL);
    let job = world.job(&second, "SETTLED");
    assert_eq!(world.bond(), before.0);
    let earned = world.balance(&rig.operator) - before.1;
    assert_eq!(earned, BOND_UXPL / 2 + amount(&job["payout"]["provider_uxpl"]), "{job}");

    // Who is gone when it must answer loses.
    let third = world.delivered();
    node.kill();
    let before = world.bond();
    world.challenge(&third, &["--anyway"]).unwrap();
    let game = world.game(&third);
    assert_eq!(game["finding"], "FINDING_HIDDEN", "{game}");
    assert_eq!(world.bond(), before - amount(&game["slashed_uxpl"]));
    world.job(&third, "REFUNDED");

    // The state on disk is whole.
    world.network.check_disk(&Programs::find().unwrap()).unwrap();
}
