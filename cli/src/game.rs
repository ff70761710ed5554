//! `xpl game`: disputes without a jury, which the chain decides by computing one step itself.

use clap::{Subcommand, ValueEnum};
use gpu_node::client::Client;
use gpu_node::words::{game_finding, game_phase, game_reason};
use plasma_modules::Coded as _;
use plasma_modules::attestation::game::Error;
#[cfg(feature = "verify")]
use plasma_modules::attestation::{game::trace_of, referee::KERNEL_ID};
use plasma_modules::types::hex;
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::attestation::v1::{
    Game, GameReason, GameState, QueryGameRequest, QueryGameResponse, QueryGamesRequest,
    QueryGamesResponse,
};
use plasma_proto::plasma::proof::v1::query_proof_request::Object;
#[cfg(feature = "verify")]
use plasma_proto::plasma::{
    attestation::v1::{Receipt, RefereeModel},
    market::v1::{Job, JobState},
};

use crate::App;
use crate::amount::{thousands, xpl_text};
use crate::audit::{LIST_MAX, finding_word, until};
#[cfg(feature = "verify")]
use crate::dispute::{Terms, window_end};
use crate::error::{Failure, Result};
use crate::light::{ProveArgs, Verified};
use crate::node::utc;
use crate::output::{Table, Tone, proto_json};
use crate::prove::Prover;

/// Games.
#[derive(Debug, Subcommand)]
pub enum GameCommand {
    /// Everything about the game over a job's claim
    Show {
        /// The job's number
        #[arg(value_name = "JOB")]
        id: u64,
        #[command(flatten)]
        prove: ProveArgs,
    },
    /// Games, the newest first; of one provider's or challenger's those under way before all others
    List {
        /// Only games in this state
        #[arg(long, value_enum, conflicts_with_all = ["operator", "challenger"])]
        state: Option<State>,
        /// Games about this provider's claims: address, contact or key
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "challenger")]
        operator: Option<String>,
        /// Games of this challenger: address, contact or key
        #[arg(long, value_name = "ACCOUNT")]
        challenger: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
        limit: u64,
    },
}

/// States of a game, as they are typed and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// The provider must give the root of its trace
    Defend,
    /// Both must give the children of the node at which they differ
    Descend,
    /// One of them must show what the tile is made from
    Prove,
    /// The challenger must show a token that the trace does not give
    Token,
    /// The challenger lost; another one may challenge
    Rest,
    /// Over
    Ended,
}

impl From<State> for GameState {
    fn from(state: State) -> Self {
        match state {
            State::Defend => Self::Defend,
            State::Descend => Self::Descend,
            State::Prove => Self::Prove,
            State::Token => Self::Token,
            State::Rest => Self::Rest,
            State::Ended => Self::Ended,
        }
    }
}

/// Runs `xpl game`.
///
/// # Errors
/// If there is no such game, an account is none, or no node answers; with a proof that does not hold exit code 5.
pub async fn run(app: &App, command: GameCommand) -> Result<()> {
    match command {
        GameCommand::Show { id, prove } => {
            let client = app.client().await?;
            if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                let game = prover.get(&Object::Game(id)).await?;
                return show(app, id, game, Some(&prover.verified));
            }
            show(app, id, find(&client, id).await?, None)
        }
        GameCommand::List { state, operator, challenger, limit } => {
            let request = QueryGamesRequest {
                state: state.map_or(0, |state| GameState::from(state).into()),
                operator: app.address_or_none(operator.as_deref())?,
                challenger: app.address_or_none(challenger.as_deref())?,
                ..QueryGamesRequest::default()
            };
            list(app, &request, limit).await
        }
    }
}

/// The game over a job's claim, if there is one.
///
/// # Errors
/// If no node answers.
pub async fn find(client: &Client, id: u64) -> Result<Option<Game>> {
    let path = "/plasma.attestation.v1.Query/Game";
    let found: Option<QueryGameResponse> = client.find(path, &QueryGameRequest { id }).await?;
    Ok(found.and_then(|found| found.game))
}

/// What a challenge of a claim takes now, if there can be one.
///
/// # Errors
/// If no node answers.
#[cfg(feature = "verify")]
pub async fn terms(client: &Client, job: &Job, receipt: &Receipt) -> Result<Option<Terms>> {
    if receipt.kernel_id != KERNEL_ID {
        return Ok(None);
    }
    let game = find(client, job.id).await?;
    let known = gpu_node::game::known(client, &job.model_id).await?;
    let least = crate::audit::all_params(client).await?.games.unwrap_or_default().bond_uxpl;
    Ok(challengeable(job, receipt, game.as_ref(), known.as_ref(), least))
}

/// [`terms`], by what the chain holds and would refuse.
#[cfg(feature = "verify")]
fn challengeable(
    job: &Job,
    receipt: &Receipt,
    game: Option<&Game>,
    known: Option<&RefereeModel>,
    least: u64,
) -> Option<Terms> {
    let before = match game.filter(|game| game.state() == GameState::Rest) {
        Some(game) => (game.due_height, game.due_s),
        // An audit has the claim, or another challenger.
        None if job.held => return None,
        None => window_end(job),
    };
    let known = known.filter(|known| known.set_height < job.assigned_height)?;
    let n_prompt = job.n_fresh.saturating_add(job.n_cached);
    let fits = job.state() == JobState::Delivered
        && receipt.kernel_id == KERNEL_ID
        && receipt.sampling.unwrap_or_default().temperature_milli == 0
        && trace_of(&known.shape.unwrap_or_default(), n_prompt, job.n_out).is_ok();
    fits.then_some(Terms { bond: least.into(), before })
}

fn show(app: &App, id: u64, game: Option<Game>, proven: Option<&Verified>) -> Result<()> {
    let game = game.ok_or_else(|| {
        let (rule, message) =
            (Error::UnknownGame(id), format!("the claim of job {id} is not challenged"));
        Failure::refused(rule.codespace(), rule.code(), message)
            .hint(format!("see what became of it:  xpl job show {id}  and  xpl audit show {id}"))
    })?;
    let mut table = fields(&game);
    let mut json = proto_json(&QueryGameResponse { game: Some(game) })?;
    if let Some(verified) = proven {
        table.field_toned("proven", verified.line(), Tone::Good);
        json["proof"] = verified.json();
    }
    app.out.table(&table, "", &json);
    Ok(())
}

/// So many games, the newest first.
async fn ask(
    client: &Client,
    request: &QueryGamesRequest,
    open_only: bool,
    limit: u64,
) -> Result<Vec<Game>> {
    let pagination = Some(PageRequest { limit, reverse: true, ..PageRequest::default() });
    let request = QueryGamesRequest { pagination, open_only, ..request.clone() };
    let path = "/plasma.attestation.v1.Query/Games";
    let answer: QueryGamesResponse = client.query(path, &request).await?;
    Ok(answer.games)
}

async fn list(app: &App, request: &QueryGamesRequest, limit: u64) -> Result<()> {
    let client = app.client().await?;
    let is_of_one = !request.operator.is_empty() || !request.challenger.is_empty();
    // The chain has one's games under way before those that have ended: read backwards they come last, and many that have
    // ended would hide them.
    let mut games = match is_of_one {
        true => ask(&client, request, true, limit).await?,
        false => Vec::new(),
    };
    let left = limit.saturating_sub(games.len() as u64);
    if left > 0 {
        let rest = ask(&client, request, false, left).await?;
        let known: Vec<u64> = games.iter().map(|game| game.id).collect();
        games.extend(rest.into_iter().filter(|game| !known.contains(&game.id)));
    }
    let mut table =
        Table::new(["JOB", "STATE", "FINDING", "PROVIDER", "CHALLENGER", "BOND", "UNTIL"]);
    for game in &games {
        let (state, tone) = state_word(game.state());
        let (finding, found) = finding_word(game.finding());
        let ends = match game.state() {
            GameState::Ended => utc(game.ended_s),
            _ => until(game.due_height, game.due_s),
        };
        table.toned([
            (game.id.to_string(), Tone::Strong),
            (state.to_owned(), tone),
            (finding.to_owned(), found),
            (game.provider.clone(), Tone::Plain),
            (game.challenger.clone(), Tone::Plain),
            (xpl_text(&game.bond_uxpl), Tone::Plain),
            (ends, Tone::Dim),
        ]);
    }
    let json = games.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no games", &json);
    Ok(())
}

/// A game's state as a word.
fn state_word(state: GameState) -> (&'static str, Tone) {
    match state {
        GameState::Unspecified => ("unknown", Tone::Dim),
        GameState::Defend => ("defend", Tone::Warn),
        GameState::Descend => ("descend", Tone::Warn),
        GameState::Prove => ("prove", Tone::Warn),
        GameState::Token => ("token", Tone::Warn),
        GameState::Rest => ("rest", Tone::Plain),
        GameState::Ended => ("ended", Tone::Good),
    }
}

/// Everything about a game.
fn fields(game: &Game) -> Table {
    let (state, finding) = (game.state(), game.finding());
    let (word, tone) = match state {
        GameState::Ended => ("ended", finding_word(finding).1),
        state => state_word(state),
    };
    let mut table = Table::fields();
    table.field_toned("game", game.id.to_string(), Tone::Strong);
    table.field_toned("state", word, tone);
    match state {
        GameState::Ended => table.field_toned("finding", game_finding(finding), tone),
        _ => {
            let until = until(game.due_height, game.due_s);
            table.field("now", format!("{}, before {until}", game_phase(state)));
        }
    }
    if game.reason() != GameReason::Unspecified {
        table.field("because", game_reason(game.reason()));
    }
    table.field("challenger", format!("{} with {}", game.challenger, xpl_text(&game.bond_uxpl)));
    table.field("provider", &game.provider);
    table.field("model", hex(&game.model_id));
    let count = |number: u32| thousands(number.into());
    let (prompt, output) = (count(game.n_prompt), count(game.n_out));
    table.field("claim", format!("{prompt} tokens of prompt, {output} of output"));
    if !game.path.is_empty() {
        let way: Vec<_> = game.path.iter().map(u32::to_string).collect();
        table.field("descents", format!("{}: child {}", way.len(), way.join(", ")));
    }
    if state == GameState::Descend {
        let given = match (game.challenger_children.is_empty(), game.provider_children.is_empty()) {
            (true, true) => "neither",
            (false, true) => "the challenger",
            (true, false) => "the provider",
            (false, false) => "both",
        };
        table.field("children given by", given);
    }
    if game.challenges_lost > 0 {
        table.field("challenges lost", count(game.challenges_lost));
    }
    match state {
        GameState::Ended => {
            table.field("slashed", xpl_text(&game.slashed_uxpl));
            let height = thousands(game.ended_height.into());
            table.field("ended", format!("block {height} ({})", utc(game.ended_s)));
        }
        _ => table.field("a conviction costs", xpl_text(&game.slash_uxpl)),
    }
    table
}

#[cfg(test)]
mod tests {
    use plasma_proto::plasma::attestation::v1::Finding;

    use super::*;

    fn game(state: GameState) -> Game {
        Game {
            id: 7,
            state: state.into(),
            challenger: "xpl1bob".into(),
            bond_uxpl: "20000000".into(),
            provider: "xpl1abc".into(),
            slash_uxpl: "40000000".into(),
            due_height: 1_200,
            due_s: 60,
            ..Game::default()
        }
    }

    #[test]
    fn every_phase_says_what_is_waited_for() {
        let text = |game: &Game| fields(game).render(false);
        let until = "before block 1,200 and 1970-01-01T00:01:00Z";
        for (state, now) in [
            (GameState::Defend, "the provider must give the root of its trace"),
            (GameState::Descend, "both must give the children of the node at which they differ"),
            (GameState::Prove, "one of them must show what the tile is made from"),
            (GameState::Token, "the challenger must show a token that the trace does not give"),
            (GameState::Rest, "the challenger lost, and another one may challenge"),
        ] {
            let text = text(&game(state));
            assert!(text.contains(&format!("{now}, {until}")), "{text}");
            assert!(text.contains("xpl1bob with 20 XPL") && text.contains("40 XPL"), "{text}");
            assert!(!text.contains("because") && !text.contains("slashed"), "{text}");
        }
        let descended = Game {
            path: vec![0, 3],
            provider_children: vec![vec![1; 32]],
            ..game(GameState::Descend)
        };
        let told = text(&descended);
        assert!(told.contains("2: child 0, 3"), "{told}");
        assert!(told.contains("children given by") && told.contains("the provider\n"), "{told}");
        let ended = Game {
            finding: Finding::Convicted.into(),
            reason: GameReason::Tile.into(),
            slashed_uxpl: "2500000".into(),
            ended_height: 5,
            ..game(GameState::Ended)
        };
        let told = text(&ended);
        for shown in ["found false", "the challenger has it", "2.5 XPL", "block 5"] {
            assert!(told.contains(shown), "{shown}: {told}");
        }
        assert!(!told.contains("a conviction costs"), "{told}");
    }

    #[cfg(feature = "verify")]
    #[test]
    fn a_claim_is_challenged_where_the_chain_can_compute_it() {
        use plasma_modules::attestation::game::PROMPT_TOKENS_MAX;
        use plasma_proto::plasma::attestation::v1::RefereeShape;
        use plasma_proto::plasma::market::v1::{JobTerms, Sampling};

        let terms =
            JobTerms { dispute_window_blocks: 100, dispute_window_s: 600, ..JobTerms::default() };
        let job = Job {
            id: 7,
            state: JobState::Delivered.into(),
            assigned_height: 40,
            delivered_height: 50,
            delivered_s: 1_000,
            n_fresh: 5,
            n_out: 3,
            terms: Some(terms),
            ..Job::default()
        };
        let receipt = Receipt { kernel_id: KERNEL_ID.into(), ..Receipt::default() };
        let shape = RefereeShape {
            layers: 2,
            width: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            hidden: 128,
            vocab: 300,
            rows: 512,
            norm_eps_bits: 1e-5f32.to_bits(),
            tied: false,
        };
        let known = RefereeModel { shape: Some(shape), set_height: 39, ..RefereeModel::default() };
        let of = |job: &Job, receipt: &Receipt, game: Option<&Game>, known: &RefereeModel| {
            challengeable(job, receipt, game, Some(known), 20_000_000)
        };
        let bond = plasma_modules::Amount::new(20_000_000);
        assert_eq!(of(&job, &receipt, None, &known), Some(Terms { bond, before: (150, 1_600) }));
        let held = Job { held: true, ..job.clone() };
        let rest = game(GameState::Rest);
        let again = of(&held, &receipt, Some(&rest), &known);
        assert_eq!(
            again,
            Some(Terms { bond, before: (1_200, 60) }),
            "the challenge before was lost"
        );

        assert_eq!(of(&held, &receipt, None, &known), None, "an audit has it");
        assert_eq!(of(&held, &receipt, Some(&game(GameState::Prove)), &known), None);
        let settled = Job { state: JobState::Settled.into(), ..job.clone() };
        assert_eq!(of(&settled, &receipt, None, &known), None);
        let long = Job { n_fresh: PROMPT_TOKENS_MAX, n_cached: 1, ..job.clone() };
        assert_eq!(of(&long, &receipt, None, &known), None);
        let other = Receipt { kernel_id: "candle".into(), ..receipt.clone() };
        assert_eq!(of(&job, &other, None, &known), None);
        let sampling = Some(Sampling { temperature_milli: 800, ..Sampling::default() });
        let drawn = Receipt { sampling, ..receipt.clone() };
        assert_eq!(of(&job, &drawn, None, &known), None);
        let late = RefereeModel { set_height: 40, ..known.clone() };
        assert_eq!(of(&job, &receipt, None, &late), None, "said when the job was assigned");
        assert_eq!(challengeable(&job, &receipt, None, None, 1), None);
    }
}
