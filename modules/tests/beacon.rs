//! The beacon: a proof per block, judged by everybody, chosen by nobody.

mod common;

use common::{Account, CHAIN_ID, Chain, TIME_S, XPL, any, genesis, send};
use plasma_modules::{
    Address, Recorded, Refusal, View,
    attestation::{
        self,
        beacon::{self, PROOF_BYTES, SecretKey},
    },
    chain::{self, BlockInput, BlockOutput},
    msg::Msg,
    query::Router,
    tx::NoMemory,
    types::{Hash, hex},
};
use plasma_proto::plasma::{
    attestation::v1::{
        BeaconKey, BeaconKeys, MsgSetBeaconKey, QueryBeaconKeyRequest, QueryBeaconKeyResponse,
        QueryBeaconKeysRequest, QueryBeaconKeysResponse, QueryBeaconRequest, QueryBeaconResponse,
    },
    genesis::v1::GenesisState,
};
use prost::Message;

/// Operator of the only validator.
fn operator() -> Account {
    Account::new(0xe0)
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_random([seed; 32]).unwrap()
}

fn of(seeds: &[(u8, u64)]) -> BeaconKeys {
    let one = |(seed, from_height): &(u8, u64)| BeaconKey {
        public_key: key(*seed).public().to_vec(),
        from_height: *from_height,
    };
    BeaconKeys { operator: operator().address.text(), keys: seeds.iter().map(one).collect() }
}

fn with_keys(keys: Vec<BeaconKeys>) -> GenesisState {
    let mut genesis = genesis(&[&Account::new(1), &operator()], 1_000 * XPL);
    let attestation = genesis.attestation.as_mut().unwrap();
    attestation.beacon_keys = keys;
    attestation.params.as_mut().unwrap().beacon_epoch_blocks = 10;
    genesis
}

fn chain_with(keys: &[(u8, u64)]) -> Chain {
    Chain::new(&with_keys(vec![of(keys)]))
}

fn seed(chain: &Chain) -> Hash {
    chain::current_block(&chain.store, CHAIN_ID, chain.height, chain.time_s).beacon
}

/// What the validator begins the next block with.
fn entry(chain: &Chain, secret: &SecretKey) -> Vec<u8> {
    let proposer = chain.next(&[]).proposer;
    let height = chain.height + 1;
    let made = chain::beacon_entry(&chain.store, CHAIN_ID, height, &proposer, Some(secret));
    made.unwrap().unwrap().to_vec()
}

/// A block that is decided, whatever it holds.
fn decide(chain: &mut Chain, txs: &[Vec<u8>]) -> BlockOutput {
    chain.block_after(1, txs)
}

fn judged(chain: &Chain, txs: &[Vec<u8>]) -> Result<(), Refusal> {
    let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    chain.process(&txs)
}

fn told(events: &[Recorded]) -> (String, String) {
    let event = events.iter().find(|event| event.kind == "beacon").unwrap();
    let get = |key: &str| event.attributes.iter().find(|(name, _)| *name == key).unwrap().1.clone();
    (get("by"), get("beacon"))
}

#[test]
fn the_proposers_proof_makes_the_beacon() {
    let mut chain = chain_with(&[(1, 0)]);
    for _ in 0..5 {
        let before = seed(&chain);
        let entry = entry(&chain, &key(1));
        let paid =
            chain.draft(&Account::new(1), vec![send(&Account::new(1), Address([3; 20]), XPL)]);
        let block = vec![entry.clone(), paid.sign(&Account::new(1))];
        judged(&chain, &block).unwrap();
        let output = decide(&mut chain, &block);
        let proof = beacon::decode(&entry).unwrap();
        let alpha = beacon::alpha(CHAIN_ID, &before, chain.height);
        let made = beacon::verify(&key(1).public(), &alpha, &proof).unwrap();
        assert_eq!(seed(&chain), beacon::by_proof(&before, &made));
        let results: Vec<_> = output.txs.iter().map(|tx| (tx.code, tx.gas_used != 0)).collect();
        assert_eq!(results, [(0, false), (0, true)], "one result for each, in order");
        assert_eq!(told(&output.txs[0].events), ("proof".into(), hex(&seed(&chain))));
        assert!(output.txs[0].data.is_empty());
    }
}

#[test]
fn a_block_proposed_again_has_the_same_beacon() {
    let chain = chain_with(&[(1, 0)]);
    let first = entry(&chain, &key(1));
    let (mut now, mut later) = (chain.clone(), chain.clone());
    // A later round: another time, other transactions.
    later.time_s += 30;
    assert_eq!(entry(&later, &key(1)), first);
    let tx = chain.draft(&Account::new(1), vec![send(&Account::new(1), Address([3; 20]), XPL)]);
    decide(&mut now, std::slice::from_ref(&first));
    decide(&mut later, &[first, tx.sign(&Account::new(1))]);
    assert_eq!(seed(&now), seed(&later));
}

#[test]
fn a_block_that_does_not_begin_as_it_must_is_rejected() {
    let mut chain = chain_with(&[(1, 0)]);
    let begun = entry(&chain, &key(1));
    decide(&mut chain, &[begun]);
    let good = entry(&chain, &key(1));
    let bent = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let proof = |secret: &SecretKey, alpha: Hash| beacon::encode(&secret.prove(&alpha)).to_vec();
    let (now, next) = (seed(&chain), chain.height + 1);
    let alpha = |chain_id: &str, seed: &Hash, height| beacon::alpha(chain_id, seed, height);
    let cases: Vec<(Vec<Vec<u8>>, &str, u32)> = vec![
        (vec![], "beacon", 6),
        (vec![vec![0]], "beacon", 7),
        (vec![good[..good.len() - 1].to_vec()], "beacon", 7),
        (vec![bent(1)], "beacon", 7),
        (vec![bent(good.len() - 1)], "beacon", 8),
        (vec![beacon::encode(&[0; PROOF_BYTES]).to_vec()], "beacon", 8),
        (vec![proof(&key(2), alpha(CHAIN_ID, &now, next))], "beacon", 8),
        (vec![proof(&key(1), alpha(CHAIN_ID, &now, next + 1))], "beacon", 8),
        (vec![proof(&key(1), alpha("another", &now, next))], "beacon", 8),
        (vec![proof(&key(1), alpha(CHAIN_ID, &[0; 32], next))], "beacon", 8),
        // A second one is no transaction.
        (vec![good.clone(), good.clone()], "sdk", 2),
    ];
    for (block, codespace, code) in cases {
        let refusal = judged(&chain, &block).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), (codespace, code), "{refusal}");
        if codespace == "sdk" {
            continue;
        }
        // Decided all the same, everybody executes it alike: by hash.
        let mut decided = chain.clone();
        let output = decide(&mut decided, &block);
        assert_eq!(seed(&decided), beacon::by_hash(&now, next));
        match output.txs.as_slice() {
            [] => assert_eq!(told(&output.events).0, "hash"),
            [result] => {
                assert_eq!((result.codespace, result.code, result.gas_used), (codespace, code, 0));
                assert_eq!(told(&result.events).0, "hash");
            }
            more => panic!("{more:?}"),
        }
    }
    judged(&chain, &[good]).unwrap();
}

#[test]
fn a_proposer_without_a_key_brings_no_entry() {
    for keys in [vec![], vec![of(&[(1, 50)])]] {
        let mut chain = Chain::new(&with_keys(keys));
        let none = chain::beacon_entry(&chain.store, CHAIN_ID, 1, &chain.next(&[]).proposer, None);
        assert_eq!(none, Ok(None));
        let before = seed(&chain);
        let alpha = beacon::alpha(CHAIN_ID, &before, 1);
        let entry = beacon::encode(&key(1).prove(&alpha)).to_vec();
        assert_eq!(judged(&chain, &[entry]).unwrap_err().code, 9);
        judged(&chain, &[]).unwrap();
        let output = decide(&mut chain, &[]);
        assert_eq!(seed(&chain), beacon::by_hash(&before, 1));
        assert_eq!(told(&output.events), ("hash".into(), hex(&seed(&chain))));
    }
    // A stranger's block: nobody that staking knows.
    let chain = chain_with(&[(1, 0)]);
    let input = BlockInput { proposer: [9; 20], ..chain.next(&[]) };
    assert!(chain::process(&chain.store, &input, &NoMemory).is_ok());
}

#[test]
fn whoever_proposes_begins_with_its_own_entry_or_not_at_all() {
    let chain = chain_with(&[(1, 0)]);
    let input = chain.next(&[]);
    let tx = chain.draft(&Account::new(1), vec![send(&Account::new(1), Address([3; 20]), XPL)]);
    let tx = tx.sign(&Account::new(1));
    let entry = entry(&chain, &key(1));
    // A transaction in the mempool that says it is an entry is none.
    let waiting = [entry.as_slice(), tx.as_slice()];
    let prepared =
        chain::prepare(&chain.store, &input, Some(&entry), &waiting, 1 << 20, &NoMemory).unwrap();
    assert_eq!(prepared.0, [tx.as_slice()]);
    let names: Vec<Hash> = prepared.1.paid().copied().collect();
    let hashes = [&entry, &tx].map(|bytes| plasma_modules::types::sha256(bytes));
    assert_eq!(names, hashes);
    judged(&chain, &[entry.clone(), tx.clone()]).unwrap();
    // It counts against the block's bytes.
    let room = chain::framed(entry.len()) + chain::framed(tx.len());
    for (bytes_max, taken) in [(room, 1), (room - 1, 0)] {
        let prepared =
            chain::prepare(&chain.store, &input, Some(&entry), &waiting, bytes_max, &NoMemory);
        assert_eq!(prepared.unwrap().0.len(), taken);
    }
    let none = chain::prepare(&chain.store, &input, None, &waiting, 1 << 20, &NoMemory);
    assert_eq!(none.err().unwrap().code, 6);
    let narrow = chain::prepare(&chain.store, &input, Some(&entry), &waiting, 50, &NoMemory);
    assert_eq!(narrow.err().unwrap().code, 18);
    for secret in [None, Some(&key(2))] {
        let refusal =
            chain::beacon_entry(&chain.store, CHAIN_ID, 1, &input.proposer, secret).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("beacon", 10), "{refusal}");
    }
}

fn set_key(operator: &Account, secret: &SecretKey) -> MsgSetBeaconKey {
    MsgSetBeaconKey {
        operator: operator.address.text(),
        public_key: secret.public().to_vec(),
        proof: beacon::prove_possession(secret, CHAIN_ID, operator.address).to_vec(),
    }
}

/// A block with one message of the validator's, begun as it must be.
fn tell(
    chain: &mut Chain,
    begin: Option<&SecretKey>,
    from: &Account,
    msg: &MsgSetBeaconKey,
) -> (u32, String) {
    let tx = chain.draft(from, vec![any(msg)]).sign(from);
    let own = begin.map(|secret| entry(chain, secret));
    let block: Vec<Vec<u8>> = own.into_iter().chain([tx]).collect();
    judged(chain, &block).unwrap();
    let result = decide(chain, &block).txs.pop().unwrap();
    (result.code, result.log)
}

#[test]
fn a_new_key_counts_two_epochs_later() {
    let mut chain = Chain::new(&with_keys(vec![]));
    let me = operator();
    let in_effect =
        |chain: &Chain, height| beacon::key_in_effect(&chain.store, operator().address, height);
    assert_eq!(tell(&mut chain, None, &me, &set_key(&me, &key(1))).0, 0);
    assert_eq!((in_effect(&chain, 19), in_effect(&chain, 20)), (None, Some(key(1).public())));
    // While it waits there is no other.
    assert_eq!(tell(&mut chain, None, &me, &set_key(&me, &key(2))).0, 5);
    while chain.height < 19 {
        judged(&chain, &[]).unwrap();
        decide(&mut chain, &[]);
    }
    assert_eq!(judged(&chain, &[]).unwrap_err().code, 6, "from here on it must prove");
    // The elder counts until the newer does.
    assert_eq!(tell(&mut chain, Some(&key(1)), &me, &set_key(&me, &key(2))).0, 0);
    assert_eq!(chain.height, 20);
    let public = |seed: u8| Some(key(seed).public());
    assert_eq!((in_effect(&chain, 39), in_effect(&chain, 40)), (public(1), public(2)));
    assert_eq!(chain.timeless(), chain.exported(), "what waits is exported");
    while chain.height < 39 {
        let block = vec![entry(&chain, &key(1))];
        judged(&chain, &block).unwrap();
        decide(&mut chain, &block);
    }
    let newer = vec![entry(&chain, &key(2))];
    judged(&chain, &newer).unwrap();
    decide(&mut chain, &newer);
    // One that counts may be replaced again, and the eldest is forgotten.
    assert_eq!(tell(&mut chain, Some(&key(2)), &me, &set_key(&me, &key(3))).0, 0);
    assert_eq!(beacon::keys(&chain.store, me.address), of(&[(2, 40), (3, 60)]).keys);
}

#[test]
fn only_the_holder_of_a_key_sets_it_for_its_validator() {
    let mut chain = Chain::new(&with_keys(vec![]));
    let (me, stranger) = (operator(), Account::new(1));
    let good = set_key(&me, &key(1));
    let of_another = set_key(&stranger, &key(1));
    let elsewhere = beacon::prove_possession(&key(1), "another", me.address).to_vec();
    assert_eq!(tell(&mut chain, None, &stranger, &of_another).0, 4, "no validator");
    for proof in [of_another.proof, elsewhere, vec![0; PROOF_BYTES]] {
        let msg = MsgSetBeaconKey { proof, ..good.clone() };
        assert_eq!(tell(&mut chain, None, &me, &msg).0, 3);
    }
    for (bad, code) in [
        (MsgSetBeaconKey { public_key: vec![0; 32], ..good.clone() }, 2),
        (MsgSetBeaconKey { public_key: vec![0xff; 32], ..good.clone() }, 2),
        (MsgSetBeaconKey { public_key: vec![], ..good.clone() }, 2),
        (MsgSetBeaconKey { proof: vec![1; 79], ..good.clone() }, 3),
    ] {
        let refusal = Msg::from_any(&any(&bad)).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("beacon", code));
    }
    let nobody = MsgSetBeaconKey { operator: "xpl1".into(), ..good.clone() };
    assert_eq!(Msg::from_any(&any(&nobody)).unwrap_err().code, 7);
    assert!(beacon::keys(&chain.store, me.address).is_empty());
    assert_eq!(tell(&mut chain, None, &me, &good).0, 0);
}

#[test]
fn a_genesis_vouches_for_keys_that_are_some() {
    let start = |keys: Vec<BeaconKeys>| {
        let mut store = plasma_modules::Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &with_keys(keys)).map(drop)
    };
    start(vec![of(&[(1, 0), (2, 30)])]).unwrap();
    let mut none = of(&[(1, 0)]);
    none.keys[0].public_key = vec![0; 32];
    let nobody = BeaconKeys { operator: "x".into(), ..of(&[(1, 0)]) };
    for bad in [
        vec![of(&[])],
        vec![of(&[(1, 0), (2, 0)])],
        vec![of(&[(1, 0), (2, 1), (3, 2)])],
        vec![none],
        vec![nobody],
        vec![of(&[(1, 0)]), of(&[(2, 0)])],
    ] {
        assert!(start(bad.clone()).is_err(), "{bad:?}");
    }
    let mut without = with_keys(vec![]);
    without.attestation.as_mut().unwrap().params = None;
    let mut store = plasma_modules::Memory::default();
    assert_eq!(chain::init(&mut store, CHAIN_ID, TIME_S, &without).unwrap_err().code, 28);
}

#[test]
fn everybody_can_ask_for_beacon_and_keys() {
    let mut chain = chain_with(&[(1, 0), (2, 20)]);
    let begun = entry(&chain, &key(1));
    decide(&mut chain, &[begun]);
    let router = Router::new();
    let block = chain::current_block(&chain.store, CHAIN_ID, chain.height, chain.time_s);
    let ask = |name: &str, request: Vec<u8>| {
        let view = View { store: &chain.store, block: &block };
        router.call(&format!("/plasma.attestation.v1.Query/{name}"), &view, &request)
    };
    let answer = ask("Beacon", QueryBeaconRequest {}.encode_to_vec()).unwrap();
    let QueryBeaconResponse { height, beacon } = Message::decode(answer.as_slice()).unwrap();
    assert_eq!((height, beacon), (1, seed(&chain).to_vec()));
    let request = QueryBeaconKeyRequest { operator: operator().address.text() };
    let answer = ask("BeaconKey", request.encode_to_vec()).unwrap();
    let QueryBeaconKeyResponse { keys } = Message::decode(answer.as_slice()).unwrap();
    assert_eq!(keys, Some(of(&[(1, 0), (2, 20)])));
    let nobody = QueryBeaconKeyRequest { operator: Account::new(1).address.text() };
    assert_eq!(ask("BeaconKey", nobody.encode_to_vec()).unwrap_err().code.grpc(), 5);
    let answer = ask("BeaconKeys", QueryBeaconKeysRequest::default().encode_to_vec()).unwrap();
    let found: QueryBeaconKeysResponse = Message::decode(answer.as_slice()).unwrap();
    assert_eq!(found.validators, [of(&[(1, 0), (2, 20)])]);
    let params = attestation::params(&chain.store);
    assert_eq!(params.beacon_epoch_blocks, 10);
}
