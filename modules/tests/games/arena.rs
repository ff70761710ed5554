//! A market with a model that the chain can recompute, a claim, and two players with their traces.

use std::rc::Rc;

pub use plasma_modules::{
    attestation::{
        audit,
        game::{self, defend_digest, descend_digest, prove_digest},
        referee::{
            Node, Opening, Operator, Row, Slice, Step, Tensor, Tile, Trace, operator_hash,
            range_path, tile_hash, token_hash,
        },
    },
    types::{Hash, digest},
};
pub use plasma_proto::plasma::attestation::v1::{
    Finding, FinishReason, Game, GameParams, GameReason, GameState, MsgChallenge, MsgDefend,
    MsgDescend, MsgProve, MsgSetReferee, MsgShowToken, QueryGamesRequest, QueryGamesResponse,
    RefereeModel, RefereeShape, Standing,
};

pub use crate::net::*;

/// Who serves the model, and is challenged.
pub const PROVIDER: Address = OPERATORS[0];
pub const CHALLENGER: Address = USERS[1];
/// Who carries the provider's moves.
pub const CARRIER: Address = USERS[2];
pub const PROVIDER_BOND: u128 = 1_000 * XPL;
pub const BOND: u128 = 20 * XPL;
/// Tokens of a claim's prompt, and of its output.
pub const N_PROMPT: u32 = 25;
pub const N_OUT: u32 = 6;
/// Ends outputs; a claim's last token.
pub const EOS: u32 = N_OUT - 1;

pub fn shape() -> RefereeShape {
    RefereeShape {
        layers: 2,
        width: 8,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        hidden: 12,
        vocab: 300,
        rows: 128,
        norm_eps_bits: 0x3727_c5ac,
        tied: true,
    }
}

/// Short windows.
pub fn numbers() -> GameParams {
    GameParams {
        bond_uxpl: 20_000_000,
        defend_blocks: 3,
        defend_s: 6,
        round_blocks: 3,
        round_s: 6,
        prove_blocks: 3,
        prove_s: 6,
        rest_blocks: 3,
        rest_s: 6,
        steps_per_block_max: 4,
    }
}

/// A player: the trace that it stands for, of which only the names of its tiles are there.
#[derive(Clone)]
pub struct Player {
    pub trace: Trace,
    tile: Rc<dyn Fn(Tile) -> Hash>,
}

impl Player {
    pub fn new(trace: Trace, tile: impl Fn(Tile) -> Hash + 'static) -> Self {
        Self { trace, tile: Rc::new(tile) }
    }

    /// Of no real inference: a name for each tile.
    pub fn honest() -> Self {
        let trace = game::trace_of(&shape(), N_PROMPT, N_OUT).unwrap();
        Self::new(trace, |tile| {
            let Tile { token, operator, index } = tile;
            let place: Vec<u8> =
                [token, operator, index].iter().flat_map(|part| part.to_be_bytes()).collect();
            digest(&[b"a tile", &place])
        })
    }

    /// The same, but for one tile.
    pub fn but(&self, wrong: Tile) -> Self {
        let other = Rc::clone(&self.tile);
        Self::new(self.trace, move |tile| {
            let name = other(tile);
            if tile == wrong { digest(&[b"a lie", &name]) } else { name }
        })
    }

    /// The name of a node.
    pub fn name_of(&self, node: &Node) -> Hash {
        match self.trace.tile_of(node) {
            Some(tile) => (self.tile)(tile),
            None => {
                let children = self.trace.children(node).unwrap();
                let names: Vec<Hash> = children.iter().map(|child| self.name_of(child)).collect();
                self.trace.name(node, &names).unwrap()
            }
        }
    }

    pub fn root(&self) -> Hash {
        self.name_of(&self.trace.root())
    }

    /// The names of the children of the node at the end of a way, of a tile's none.
    pub fn children(&self, way: &[u32]) -> Vec<Hash> {
        let node = game::node_at(&self.trace, way).unwrap();
        let children = self.trace.children(&node).unwrap_or_default();
        children.iter().map(|child| self.name_of(child)).collect()
    }
}

pub struct Arena {
    pub net: Net,
    /// The claim's job.
    pub id: u64,
}

impl Arena {
    /// A claim that can be challenged.
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// As [`Self::new`], of a receipt that `change` has changed.
    pub fn with(change: impl FnOnce(&mut MsgSubmitReceipt)) -> Self {
        let mut arena = Self::unset();
        arena.set_referee(PUBLISHER, shape()).unwrap();
        arena.end(1);
        arena.claim(change);
        arena
    }

    /// A market whose model the chain cannot recompute.
    pub fn unset() -> Self {
        let mut genesis = genesis(params());
        let attestation = genesis.attestation.as_mut().unwrap();
        attestation.params.as_mut().unwrap().games = Some(numbers());
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN, 1_000, &genesis).unwrap();
        let net = Net {
            store,
            block: block(1, 1_000),
            events: vec![],
            fee_units: 0,
            plays_audits: false,
        };
        let mut arena = Self { net, id: 0 };
        let model = arena.net.publish("base", 200).unwrap();
        arena.net.register(PROVIDER, PROVIDER_BOND, vec![ask(&model, 16)]).unwrap();
        arena
    }

    pub fn set_referee(&mut self, publisher: Address, shape: RefereeShape) -> Result<(), Refusal> {
        self.set_referee_as(publisher, shape, [1; 32], vec![EOS, EOS + 1])
    }

    pub fn set_referee_as(
        &mut self,
        publisher: Address,
        shape: RefereeShape,
        weights_root: Hash,
        eos_tokens: Vec<u32>,
    ) -> Result<(), Refusal> {
        let msg = game::SetReferee::new(MsgSetReferee {
            publisher: publisher.text(),
            model_id: self.net.model(),
            shape: Some(shape),
            weights_root: weights_root.into(),
            eos_tokens,
        })?;
        self.net.run(publisher, |ctx| game::set_referee(ctx, msg)).map(drop)
    }

    /// Another claim, which is the one that is played about from now on.
    pub fn claim(&mut self, change: impl FnOnce(&mut MsgSubmitReceipt)) -> u64 {
        self.claim_for(job_for(USERS[0], &self.net.model()), change)
    }

    pub fn claim_for(
        &mut self,
        job: MsgSubmitJob,
        change: impl FnOnce(&mut MsgSubmitReceipt),
    ) -> u64 {
        let id = self.net.submit(job).unwrap();
        self.end(2);
        let mut msg = self.net.answer(&self.net.job(id), N_OUT);
        msg.receipt.as_mut().unwrap().kernel_id = "referee/1".into();
        change(&mut msg);
        let output = msg.output.as_ref().unwrap();
        let receipt = msg.receipt.as_mut().unwrap();
        receipt.output_tokens_hash = tokens_hash(&output.token_ids).into();
        self.net.receipt(PROVIDER, signed(msg, PROVIDER)).unwrap();
        self.id = id;
        id
    }

    /// Ends blocks of two seconds each.
    pub fn end(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.net
                .run(Address::default(), |ctx| {
                    market::end_block(ctx);
                    market::take_settled(ctx.store);
                    attestation::end_block(ctx);
                    Ok::<_, Refusal>(())
                })
                .unwrap();
            chain::check_invariants(&self.net.store).unwrap();
            let Block { height, time_s, .. } = self.net.block;
            self.net.block = block(height + 1, time_s + 2);
        }
    }

    /// What goes on from an export is what was exported.
    pub fn check_export(&self) {
        let mut store = Memory::default();
        let genesis = chain::export(&self.net.store);
        chain::init(&mut store, CHAIN, self.net.block.time_s, &genesis).unwrap();
        assert_eq!(chain::export(&store), genesis);
        chain::check_invariants(&store).unwrap();
        use plasma_modules::Read;
        for table in 0x82u8..=0x87 {
            let pairs = |store: &Memory| store.scan(&[table]).collect::<Vec<_>>();
            assert_eq!(pairs(&store), pairs(&self.net.store), "{table:#x}");
        }
    }

    pub fn game(&self) -> Game {
        game::game(&self.net.store, self.id).unwrap()
    }

    pub fn challenge_as(
        &mut self,
        challenger: Address,
        root: Hash,
        bond: u128,
    ) -> Result<(), Refusal> {
        let msg = game::Challenge::new(MsgChallenge {
            challenger: challenger.text(),
            job_id: self.id,
            trace_root: root.into(),
            bond_uxpl: bond.to_string(),
        })?;
        self.net.run(challenger, |ctx| game::challenge(ctx, msg)).map(drop)
    }

    pub fn challenge(&mut self, trace: &Player) {
        self.challenge_as(CHALLENGER, trace.root(), BOND).unwrap();
    }

    pub fn defend_msg(&self, root: Hash) -> MsgDefend {
        let mut msg = MsgDefend {
            carrier: CARRIER.text(),
            job_id: self.id,
            trace_root: root.into(),
            signature: vec![],
        };
        msg.signature = key_of(PROVIDER).sign(&defend_digest(CHAIN, &msg)).to_vec();
        msg
    }

    pub fn defend_as(&mut self, msg: MsgDefend) -> Result<(), Refusal> {
        let msg = game::Defend::new(msg)?;
        self.net.run(msg.signer(), |ctx| game::defend(ctx, msg)).map(drop)
    }

    pub fn defend(&mut self, trace: &Player) {
        self.defend_as(self.defend_msg(trace.root())).unwrap();
    }

    /// The challenger's children of the node that the game is at.
    pub fn descend_msg(&self, trace: &Player) -> MsgDescend {
        let path = self.game().path;
        let children = trace.children(&path);
        MsgDescend {
            sender: CHALLENGER.text(),
            job_id: self.id,
            path,
            children: children.into_iter().map(Vec::from).collect(),
            signature: vec![],
        }
    }

    pub fn descend_as(&mut self, msg: MsgDescend) -> Result<(), Refusal> {
        let msg = game::Descend::new(msg)?;
        self.net.run(msg.signer(), |ctx| game::descend(ctx, msg)).map(drop)
    }

    pub fn challenger_descends(&mut self, trace: &Player) {
        self.descend_as(self.descend_msg(trace)).unwrap();
    }

    pub fn provider_descends(&mut self, trace: &Player) {
        self.descend_as(by_provider(self.descend_msg(trace))).unwrap();
    }

    /// A challenge that is defended with another trace.
    pub fn opened(&mut self, challenger: &Player, provider: &Player) {
        self.challenge(challenger);
        self.defend(provider);
        assert_eq!(self.game().state(), GameState::Descend);
    }

    /// Both go down to the tile at which they differ. In how many rounds.
    pub fn go_down(&mut self, challenger: &Player, provider: &Player) -> usize {
        let mut rounds = 0;
        while self.game().state() == GameState::Descend {
            if rounds % 2 == 0 {
                self.challenger_descends(challenger);
                self.provider_descends(provider);
            } else {
                self.provider_descends(provider);
                self.challenger_descends(challenger);
            }
            rounds += 1;
            self.end(1);
        }
        assert_eq!(self.game().state(), GameState::Prove);
        rounds
    }

    pub fn prove_as(&mut self, msg: MsgProve) -> Result<(), Refusal> {
        let msg = game::Prove::new(msg)?;
        self.net.run(msg.signer(), |ctx| game::prove(ctx, msg)).map(drop)
    }

    pub fn show_token_as(
        &mut self,
        challenger: Address,
        index: u32,
        choice: &Opening,
    ) -> Result<(), Refusal> {
        let msg = game::ShowToken::new(MsgShowToken {
            challenger: challenger.text(),
            job_id: self.id,
            index,
            choice: Some(wire(choice)),
        })?;
        self.net.run(challenger, |ctx| game::show_token(ctx, msg)).map(drop)
    }

    pub fn standing(&self) -> Standing {
        audit::standing(&self.net.store, PROVIDER)
    }

    pub fn bond(&self) -> u128 {
        self.net.provider(PROVIDER).unwrap().bond_uxpl.parse().unwrap()
    }
}

/// What a player shows of a tile; the challenger is the sender.
pub fn prove_msg(
    id: u64,
    path: Vec<u32>,
    inputs: &[Opening],
    rows: &[Opening],
    prompt_tokens: Vec<u32>,
) -> MsgProve {
    let (inputs, rows) = [inputs, rows].map(|all| all.iter().map(wire).collect()).into();
    MsgProve {
        sender: CHALLENGER.text(),
        job_id: id,
        path,
        inputs,
        rows,
        prompt_tokens,
        signature: vec![],
    }
}

pub fn wire(opening: &Opening) -> plasma_proto::plasma::attestation::v1::Opening {
    plasma_proto::plasma::attestation::v1::Opening {
        values: opening.values.clone(),
        path: opening.path.iter().map(|step| step.to_vec()).collect(),
    }
}

/// The same, as the provider signs and another account carries it.
pub fn proven_by_provider(msg: MsgProve) -> MsgProve {
    let mut msg = MsgProve { sender: CARRIER.text(), ..msg };
    msg.signature = key_of(PROVIDER).sign(&prove_digest(CHAIN, &msg)).to_vec();
    msg
}

/// The same move, as the provider signs and another account carries it.
pub fn by_provider(msg: MsgDescend) -> MsgDescend {
    let mut msg = MsgDescend { sender: CARRIER.text(), ..msg };
    msg.signature = key_of(PROVIDER).sign(&descend_digest(CHAIN, &msg)).to_vec();
    msg
}
