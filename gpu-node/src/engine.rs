//! Models at work: requests in, tokens out.
//!
//! An [`Engine`] is a loaded model. [`EngineHandle::spawn`] gives it a thread of its own, which alone touches
//! it; the handle can be cloned and sends requests there. Sequences that run at the same time take turns, one
//! token each, and none sees another: what a request gets depends on the request alone.
//!
//! What counts as output: every token generated, the end token included if the model chose it; at most
//! `max_tokens` of them. The text leaves special tokens out, and with a stop string it ends before that.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use plasma_proto::plasma::attestation::v1::FinishReason;
use tokio::sync::mpsc;

use crate::evidence::{Recorder, Segments};

pub mod candle;
pub mod echo;
pub mod gguf;
pub mod llama;
pub mod referee;
pub mod sampler;
pub mod tiny;
pub mod tokenizer;

pub use sampler::{Sampler, Sampling};
use tokenizer::{DecoderState, Tokenizer};

/// Sequences that run at the same time; more wait.
pub const RUNNING_MAX: usize = 16;
/// Requests that wait; more are refused.
pub const WAITING_MAX: usize = 1024;
/// Stop strings of a request.
pub const STOPS_MAX: usize = 64;
/// Longest stop string, bytes.
pub const STOP_BYTES_MAX: usize = 1024;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Prompt and output do not fit into the model's context. The client's fault.
    #[error(
        "the prompt has {prompt_tokens} tokens and asks for {max_tokens} more, but the model holds {context} in all: \
         shorten the prompt or lower max_tokens"
    )]
    TooLong {
        /// Tokens of the prompt, template included.
        prompt_tokens: u32,
        /// Tokens asked for.
        max_tokens: u32,
        /// Tokens that the model holds.
        context: u32,
    },
    /// The request is wrong in another way. The client's fault.
    #[error("{0}")]
    Invalid(String),
    /// Too many requests wait.
    #[error("{WAITING_MAX} requests wait already: try again later")]
    Busy,
    /// The engine has ended.
    #[error("the engine has stopped: restart the node")]
    Stopped,
    /// Computing failed.
    #[error("the model failed: {0}")]
    Model(String),
    /// The model's files cannot be used.
    #[error("{0}")]
    Files(String),
}

impl EngineError {
    /// Whether the same request would fail on every honest provider.
    #[must_use]
    pub fn is_clients_fault(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Invalid(_))
    }
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.to_string())
    }
}

/// What a client wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The user's text; the model's chat template is put around it.
    pub prompt: String,
    /// Most tokens to write, at least 1.
    pub max_tokens: u32,
    /// Texts that end the output.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the choice.
    pub seed: [u8; 32],
    /// Whether evidence is recorded. Its rows stay in memory until the end: 4 bytes per token and width.
    pub evidence: bool,
}

/// One token, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Text that has become certain with it: may be empty, or more than this token's own. The texts of all
    /// tokens make up the text of the output.
    pub text: String,
}

/// Why the output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model chose an end token.
    Eos,
    /// A stop string came.
    Stop,
    /// `max_tokens` were written.
    Length,
}

/// As receipts say it.
impl From<Finish> for FinishReason {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Eos => Self::Eos,
            Finish::Stop => Self::Stop,
            Finish::Length => Self::Length,
        }
    }
}

/// A finished output.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The prompt as the model read it, template included.
    pub prompt_tokens: Vec<u32>,
    /// Every token generated.
    pub output_tokens: Vec<u32>,
    /// The output as text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// From the request to its first token, waiting included.
    pub t_first: Duration,
    /// From the request to its end.
    pub t_total: Duration,
    /// What computed it.
    pub kernel_id: String,
    /// What was recorded, if that was asked for.
    pub evidence: Option<Segments>,
}

/// What comes back for a request: tokens, then exactly one of the others. A channel that closes without one
/// means that the engine has stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The next token.
    Token(Token),
    /// The end.
    Done(Completion),
    /// The end, without an output.
    Failed(EngineError),
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Path, instruction set, version and threads of the kernels.
    pub kernel_id: String,
    /// Tokens of prompt and output together.
    pub context_tokens: u32,
    /// Tokens that a prompt may have beyond one per byte of the user's text.
    pub template_tokens: u32,
}

/// A loaded model.
pub trait Engine: Send {
    /// What it is.
    fn info(&self) -> Info;
    /// Its vocabulary and template.
    fn tokenizer(&self) -> &Tokenizer;
    /// Begins a sequence of up to `capacity` tokens, prompt included.
    ///
    /// # Errors
    /// [`EngineError::Model`] when there is no room for it.
    fn open(&self, prompt: &[u32], capacity: usize) -> Result<Box<dyn Sequence>, EngineError>;
}

/// A sequence that is being written.
pub trait Sequence: Send {
    /// Does one turn's work: reads a part of the prompt, or writes the next token. Hands the rows of the last
    /// norm to the recorder, if there is one.
    ///
    /// # Errors
    /// [`EngineError::Model`] when computing fails.
    fn step(
        &mut self,
        sampler: &Sampler,
        recorder: Option<&mut Recorder>,
    ) -> Result<Step, EngineError>;
}

/// What a turn brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The prompt is not read to its end yet.
    Reading,
    /// The next token.
    Token(u32),
}

/// From tokens to text and end: pure, so that a verifier comes to the same text and reason.
#[derive(Debug, Clone)]
pub struct Transcript {
    stops: Vec<String>,
    max_tokens: u32,
    decoder: DecoderState,
    tokens: Vec<u32>,
    text: String,
    /// Bytes of `text` that were given out; what may be the begin of a stop string is held back.
    given: usize,
    finish: Option<Finish>,
}

impl Transcript {
    /// An empty output.
    #[must_use]
    pub fn new(stops: &[String], max_tokens: u32) -> Self {
        Self {
            stops: stops.to_vec(),
            max_tokens,
            decoder: DecoderState::default(),
            tokens: Vec::new(),
            text: String::new(),
            given: 0,
            finish: None,
        }
    }

    /// Takes the next token and gives the text that has become certain. After the end nothing is taken.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        if self.finish.is_some() {
            return String::new();
        }
        self.tokens.push(token);
        let decoded = self.decoder.push(tokenizer, token);
        self.write(&decoded);
        let ends = if tokenizer.is_eos(token) {
            Some(Finish::Eos)
        } else if self.tokens.len() >= self.max_tokens as usize {
            Some(Finish::Length)
        } else {
            None
        };
        if let (None, Some(reason)) = (self.finish, ends) {
            let rest = self.decoder.finish();
            self.write(&rest);
            self.finish = self.finish.or(Some(reason));
        }
        let certain = match self.finish {
            Some(_) => self.text.len(),
            None => self.text.len() - self.held(),
        };
        let given = std::mem::replace(&mut self.given, certain);
        self.text[given..certain].to_owned()
    }

    /// Adds text, unless a stop string ends it.
    fn write(&mut self, more: &str) {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        self.text.push_str(more);
        let found =
            self.stops.iter().filter_map(|stop| self.text[from..].find(stop.as_str())).min();
        if let Some(at) = found {
            self.text.truncate(from + at);
            self.finish = Some(Finish::Stop);
        }
    }

    /// Bytes at the end of the text that may be the begin of a stop string.
    fn held(&self) -> usize {
        let begins = |stop: &String| {
            let cuts = stop.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
            cuts.rev().find(|at| self.text.ends_with(&stop[..*at])).unwrap_or(0)
        };
        self.stops.iter().map(begins).max().unwrap_or(0)
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Tokens so far.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Text so far, what is held back included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whose turn it is: the running sequence with the least number above the one that had the last turn, else the
/// least of all. `running` ascends; gives an index.
#[must_use]
pub fn next_turn(last: u64, running: &[u64]) -> Option<usize> {
    if running.is_empty() {
        return None;
    }
    let above = running.partition_point(|number| *number <= last);
    Some(if above < running.len() { above } else { 0 })
}

/// Sends requests to the thread that owns an engine. The thread ends when the last handle is dropped and what
/// runs is done.
#[derive(Clone)]
pub struct EngineHandle {
    commands: Sender<Command>,
    info: Info,
}

struct Command {
    request: Request,
    events: mpsc::Sender<Event>,
    began: Instant,
}

impl EngineHandle {
    /// Gives `engine` a thread.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the system has no thread to give.
    pub fn spawn(engine: Box<dyn Engine>) -> Result<Self, EngineError> {
        let info = engine.info();
        let (commands, received) = channel();
        thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || Owner::new(engine, received).run())
            .map_err(|error| EngineError::Model(format!("no thread for the engine: {error}")))?;
        Ok(Self { commands, info })
    }

    /// What the engine is.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Hands a request in. Dropping the receiver cancels it. Never blocks.
    #[must_use]
    pub fn start(&self, request: Request) -> mpsc::Receiver<Event> {
        // Room for every event: the engine never waits for a slow client. The channel grows as it is used.
        let room = request.max_tokens.min(self.info.context_tokens) as usize + 2;
        let (events, receiver) = mpsc::channel(room);
        let command = Command { request, events, began: Instant::now() };
        if let Err(refused) = self.commands.send(command) {
            let _ = refused.0.events.try_send(Event::Failed(EngineError::Stopped));
        }
        receiver
    }

    /// Serves a request to its end, telling `on_token` of each token. For threads that may block; not for
    /// asynchronous code.
    ///
    /// # Errors
    /// Whatever the request fails with.
    pub fn generate(
        &self,
        request: Request,
        mut on_token: impl FnMut(&Token),
    ) -> Result<Completion, EngineError> {
        let mut events = self.start(request);
        loop {
            match events.blocking_recv() {
                Some(Event::Token(token)) => on_token(&token),
                Some(Event::Done(completion)) => return Ok(completion),
                Some(Event::Failed(error)) => return Err(error),
                None => return Err(EngineError::Stopped),
            }
        }
    }
}

/// A request that has its turns.
struct Running {
    sequence: Box<dyn Sequence>,
    sampler: Sampler,
    transcript: Transcript,
    prompt_tokens: Vec<u32>,
    events: mpsc::Sender<Event>,
    began: Instant,
    t_first: Option<Duration>,
    recorder: Option<Recorder>,
}

/// The engine's thread.
struct Owner {
    engine: Box<dyn Engine>,
    kernel_id: String,
    commands: Receiver<Command>,
    waiting: VecDeque<Command>,
    /// Ascending numbers of the sequences in `running`.
    numbers: Vec<u64>,
    running: Vec<Running>,
    last: u64,
    handles_are_gone: bool,
}

impl Owner {
    fn new(engine: Box<dyn Engine>, commands: Receiver<Command>) -> Self {
        Self {
            kernel_id: engine.info().kernel_id,
            engine,
            commands,
            waiting: VecDeque::new(),
            numbers: Vec::new(),
            running: Vec::new(),
            last: 0,
            handles_are_gone: false,
        }
    }

    fn run(mut self) {
        let mut number = 0;
        loop {
            self.receive();
            while self.running.len() < RUNNING_MAX
                && let Some(command) = self.waiting.pop_front()
            {
                let events = command.events.clone();
                match self.admit(command) {
                    Ok(running) => {
                        number += 1;
                        self.numbers.push(number);
                        self.running.push(running);
                    }
                    Err(error) => drop(events.try_send(Event::Failed(error))),
                }
            }
            match next_turn(self.last, &self.numbers) {
                Some(index) => self.turn(index),
                None if self.handles_are_gone => return,
                None => {}
            }
        }
    }

    /// Takes what has come; with nothing to do, waits for it.
    fn receive(&mut self) {
        if self.running.is_empty() && self.waiting.is_empty() {
            match self.commands.recv() {
                Ok(command) => self.waiting.push_back(command),
                Err(_) => self.handles_are_gone = true,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) if self.waiting.len() >= WAITING_MAX => {
                    self.waiting.retain(|waiting| !waiting.events.is_closed());
                    if self.waiting.len() >= WAITING_MAX {
                        let _ = command.events.try_send(Event::Failed(EngineError::Busy));
                    } else {
                        self.waiting.push_back(command);
                    }
                }
                Ok(command) => self.waiting.push_back(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.handles_are_gone = true;
                    return;
                }
            }
        }
    }

    /// Checks a request and begins its sequence.
    fn admit(&self, command: Command) -> Result<Running, EngineError> {
        let Command { request, events, began } = command;
        let Request { prompt, max_tokens, stop, sampling, seed, evidence } = request;
        let sampler = Sampler::new(sampling, seed)?;
        if max_tokens == 0 {
            return Err(EngineError::Invalid("max_tokens must be at least 1".to_owned()));
        }
        if stop.len() > STOPS_MAX
            || stop.iter().any(|stop| stop.is_empty() || stop.len() > STOP_BYTES_MAX)
        {
            return Err(EngineError::Invalid(format!(
                "at most {STOPS_MAX} stop strings, of 1 to {STOP_BYTES_MAX} bytes each"
            )));
        }
        let prompt_tokens = self.engine.tokenizer().prompt(&prompt)?;
        if prompt_tokens.is_empty() {
            return Err(EngineError::Invalid("the prompt is empty".to_owned()));
        }
        let capacity = prompt_tokens.len().saturating_add(max_tokens as usize);
        let context = self.engine.info().context_tokens;
        if capacity > context as usize {
            let prompt_tokens = u32::try_from(prompt_tokens.len()).unwrap_or(u32::MAX);
            return Err(EngineError::TooLong { prompt_tokens, max_tokens, context });
        }
        let sequence = guarded(|| self.engine.open(&prompt_tokens, capacity))?;
        let transcript = Transcript::new(&stop, max_tokens);
        let recorder = evidence.then(Recorder::new);
        Ok(Running {
            sequence,
            sampler,
            transcript,
            prompt_tokens,
            events,
            began,
            t_first: None,
            recorder,
        })
    }

    /// One turn of one sequence, which leaves when it is done, has failed, or nobody listens any more.
    fn turn(&mut self, index: usize) {
        self.last = self.numbers[index];
        let running = &mut self.running[index];
        let step = if running.events.is_closed() {
            None
        } else {
            let Running { sequence, sampler, recorder, .. } = &mut *running;
            Some(guarded(|| sequence.step(sampler, recorder.as_mut())))
        };
        let end = match step {
            None => None,
            Some(Ok(Step::Reading)) => return,
            Some(Err(error)) => Some(Event::Failed(error)),
            Some(Ok(Step::Token(id))) => {
                let t_first = *running.t_first.get_or_insert_with(|| running.began.elapsed());
                let text = running.transcript.push(self.engine.tokenizer(), id);
                let _ = running.events.try_send(Event::Token(Token { id, text }));
                let Some(finish) = running.transcript.finish() else {
                    return;
                };
                let transcript = &mut running.transcript;
                Some(Event::Done(Completion {
                    prompt_tokens: std::mem::take(&mut running.prompt_tokens),
                    output_tokens: std::mem::take(&mut transcript.tokens),
                    text: std::mem::take(&mut transcript.text),
                    finish,
                    t_first,
                    t_total: running.began.elapsed(),
                    kernel_id: self.kernel_id.clone(),
                    evidence: running.recorder.take().map(Recorder::segments),
                }))
            }
        };
        if let Some(end) = end {
            let _ = running.events.try_send(end);
        }
        self.numbers.remove(index);
        self.running.remove(index);
    }
}

/// A panic below, for example in a kernel, fails one request and not the node.
fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(EngineError::Model(format!("a kernel panicked: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    fn echo(delay_ms: u64) -> EngineHandle {
        let echo = echo::Echo::new(Duration::from_millis(delay_ms)).unwrap();
        EngineHandle::spawn(Box::new(echo)).unwrap()
    }

    fn tiny() -> candle::Candle {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
        candle::load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap()
    }

    fn request(prompt: &str, max_tokens: u32) -> Request {
        let (stop, sampling) = (vec![], Sampling::GREEDY);
        let (prompt, seed) = (prompt.to_owned(), [1; 32]);
        Request { prompt, max_tokens, stop, sampling, seed, evidence: true }
    }

    fn warm(prompt: &str, max_tokens: u32) -> Request {
        let sampling = Sampling { temperature_milli: 800, top_p_milli: 950 };
        Request { sampling, ..request(prompt, max_tokens) }
    }

    #[test]
    fn the_echo_repeats_and_ends() {
        let mut streamed = String::new();
        let done =
            echo(0).generate(request("hé!", 10), |token| streamed.push_str(&token.text)).unwrap();
        assert_eq!(done.text, "hé!");
        assert_eq!(streamed, done.text);
        assert_eq!(done.finish, Finish::Eos);
        assert_eq!(done.prompt_tokens, [104, 0xc3, 0xa9, 33]);
        assert_eq!(done.output_tokens, [104, 0xc3, 0xa9, 33, 258]);
        assert!(done.t_first <= done.t_total);
    }

    #[test]
    fn the_length_is_kept() {
        let done = echo(0).generate(request("é", 1), |_| {}).unwrap();
        assert_eq!((done.finish, done.output_tokens.len()), (Finish::Length, 1));
        assert_eq!(done.text, "\u{fffd}", "a character that is not whole is replaced");
    }

    #[test]
    fn a_stop_string_is_not_part_of_the_text() {
        let mut request = request("one END two", 100);
        request.stop = vec!["ENDE".into(), "END".into(), "two".into()];
        let mut tokens = vec![];
        let done = echo(0).generate(request, |token| tokens.push(token.clone())).unwrap();
        assert_eq!((done.text.as_str(), done.finish), ("one ", Finish::Stop));
        assert_eq!(done.output_tokens.len(), 7, "the tokens of the stop string were generated");
        assert_eq!(tokens.iter().map(|token| token.text.as_str()).collect::<String>(), "one ");
    }

    #[test]
    fn what_was_held_back_comes_at_the_end() {
        let mut request = request("abcEN", 100);
        request.stop = vec!["END".into()];
        let mut text = String::new();
        let done = echo(0).generate(request, |token| text.push_str(&token.text)).unwrap();
        assert_eq!((done.text.as_str(), done.finish), ("abcEN", Finish::Eos));
        assert_eq!(text, "abcEN");
    }

    #[test]
    fn requests_that_cannot_be_served_are_the_clients_fault() {
        let engine = EngineHandle::spawn(Box::new(tiny())).unwrap();
        let long = engine.generate(request("hello", 5000), |_| {}).unwrap_err();
        assert!(matches!(long, EngineError::TooLong { max_tokens: 5000, context: 1024, .. }));
        let stops = |stop: Vec<String>| Request { stop, ..request("x", 1) };
        let sampling = Sampling { temperature_milli: 0, top_p_milli: 0 };
        for bad in [
            request("x", 0),
            stops(vec![String::new()]),
            stops(vec!["x".repeat(STOP_BYTES_MAX + 1)]),
            stops(vec!["x".into(); STOPS_MAX + 1]),
            Request { sampling, ..request("x", 1) },
        ] {
            let error = engine.generate(bad, |_| {}).unwrap_err();
            assert!(error.is_clients_fault(), "{error}");
        }
        assert!(long.is_clients_fault());
        assert!(echo(0).generate(request("", 1), |_| {}).unwrap_err().is_clients_fault());
    }

    #[test]
    fn sequences_take_turns() {
        let engine = echo(2);
        let mut long = engine.start(request(&"x".repeat(2000), 2001));
        assert!(matches!(long.blocking_recv(), Some(Event::Token(_))));
        let done = engine.generate(request("short", 100), |_| {}).unwrap();
        assert_eq!(done.text, "short");
        let mut behind = 1;
        while let Ok(Event::Token(_)) = long.try_recv() {
            behind += 1;
        }
        assert!(
            (2..1000).contains(&behind),
            "{behind} tokens of the long one by the end of the short one"
        );
    }

    #[test]
    fn dropping_the_receiver_stops_the_work() {
        let engine = echo(20);
        // As many as may run: the next can only start when they have left.
        let blocked: Vec<_> =
            (0..RUNNING_MAX).map(|_| engine.start(request(&"x".repeat(9000), 9000))).collect();
        drop(blocked);
        let began = Instant::now();
        engine.generate(request("hi", 10), |_| {}).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn too_many_requests_are_refused() {
        let engine = echo(20);
        let mut all: Vec<_> = (0..RUNNING_MAX + WAITING_MAX + 100)
            .map(|_| engine.start(request(&"x".repeat(9000), 9000)))
            .collect();
        let last = all.last_mut().unwrap();
        assert_eq!(last.blocking_recv(), Some(Event::Failed(EngineError::Busy)));
    }

    #[test]
    fn a_panic_fails_one_request() {
        struct Broken(echo::Echo);
        impl Engine for Broken {
            fn info(&self) -> Info {
                self.0.info()
            }
            fn tokenizer(&self) -> &Tokenizer {
                self.0.tokenizer()
            }
            fn open(
                &self,
                prompt: &[u32],
                capacity: usize,
            ) -> Result<Box<dyn Sequence>, EngineError> {
                assert!(prompt != [98], "b");
                self.0.open(prompt, capacity)
            }
        }
        let broken = Broken(echo::Echo::new(Duration::ZERO).unwrap());
        let engine = EngineHandle::spawn(Box::new(broken)).unwrap();
        assert!(matches!(engine.generate(request("b", 9), |_| {}), Err(EngineError::Model(_))));
        assert_eq!(engine.generate(request("a", 9), |_| {}).unwrap().text, "a");
    }

    #[test]
    fn the_thread_ends_with_its_handles() {
        struct Told(echo::Echo, Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.1.send(());
            }
        }
        impl Engine for Told {
            fn info(&self) -> Info {
                self.0.info()
            }
            fn tokenizer(&self) -> &Tokenizer {
                self.0.tokenizer()
            }
            fn open(
                &self,
                prompt: &[u32],
                capacity: usize,
            ) -> Result<Box<dyn Sequence>, EngineError> {
                self.0.open(prompt, capacity)
            }
        }
        let (tell, told) = channel();
        let echo = echo::Echo::new(Duration::ZERO).unwrap();
        let engine = EngineHandle::spawn(Box::new(Told(echo, tell))).unwrap();
        let mut last = engine.start(request("done before the end", 100));
        drop(engine);
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        let mut events = vec![];
        while let Ok(event) = last.try_recv() {
            events.push(event);
        }
        assert!(matches!(events.last(), Some(Event::Done(_))));
    }

    /// What a request gets does not depend on what runs beside it.
    #[test]
    fn requests_do_not_see_each_other() {
        let engine = EngineHandle::spawn(Box::new(tiny())).unwrap();
        let requests: Vec<Request> = (0..6u8)
            .map(|i| Request { seed: [i; 32], ..warm(&format!("request {i}"), 20 + u32::from(i)) })
            .collect();
        let alone: Vec<Completion> =
            requests.iter().map(|r| engine.generate(r.clone(), |_| {}).unwrap()).collect();
        let receivers: Vec<_> = requests.iter().map(|r| engine.start(r.clone())).collect();
        for (mut receiver, alone) in receivers.into_iter().zip(alone) {
            let together = loop {
                match receiver.blocking_recv().unwrap() {
                    Event::Token(_) => {}
                    Event::Done(done) => break done,
                    Event::Failed(error) => panic!("{error}"),
                }
            };
            assert_eq!(together.output_tokens, alone.output_tokens);
            assert_eq!(together.text, alone.text);
        }
    }

    #[test]
    fn the_engine_writes_what_the_bare_loop_writes() {
        let model = tiny();
        let prompt = model.tokenizer().prompt("hello").unwrap();
        let bare = llama::bare_loop(model.model(), &prompt, 64).unwrap();
        let engine = EngineHandle::spawn(Box::new(model)).unwrap();
        let done = engine.generate(request("hello", 64), |_| {}).unwrap();
        assert_eq!(done.output_tokens, bare[..done.output_tokens.len()]);
        assert_eq!(done.prompt_tokens, prompt);
    }

    /// A prompt longer than one turn's reading.
    #[test]
    fn long_prompts_are_read_in_turns() {
        let engine = EngineHandle::spawn(Box::new(tiny())).unwrap();
        let done = engine.generate(warm(&"long ".repeat(150), 8), |_| {}).unwrap();
        assert!(done.prompt_tokens.len() > 750);
        assert!(!done.output_tokens.is_empty());
    }

    #[test]
    fn turns_go_round() {
        assert_eq!(next_turn(0, &[]), None);
        assert_eq!(next_turn(0, &[3, 5, 9]), Some(0));
        assert_eq!(next_turn(3, &[3, 5, 9]), Some(1));
        assert_eq!(next_turn(4, &[3, 5, 9]), Some(1));
        assert_eq!(next_turn(9, &[3, 5, 9]), Some(0));
    }

    proptest! {
        #[test]
        fn the_stream_is_the_text(
            bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 1..60),
            stops in proptest::collection::vec("[ab\u{e9}\u{fffd}]{1,4}", 0..4),
            max_tokens in 1u32..60,
        ) {
            let tokenizer = tiny::tokenizer().unwrap();
            let mut transcript = Transcript::new(&stops, max_tokens);
            let mut streamed = String::new();
            for byte in &bytes {
                streamed.push_str(&transcript.push(&tokenizer, u32::from(*byte)));
            }
            streamed.push_str(&transcript.push(&tokenizer, tokenizer.eos()[0]));
            prop_assert!(transcript.finish().is_some());
            prop_assert_eq!(&streamed, transcript.text());
            prop_assert!(transcript.tokens().len() <= max_tokens as usize);
            let whole = tokenizer.decode(transcript.tokens());
            prop_assert!(whole.starts_with(transcript.text()));
            prop_assert!(stops.iter().all(|stop| !transcript.text().contains(stop.as_str())));
            if transcript.finish() != Some(Finish::Stop) {
                prop_assert_eq!(whole, transcript.text());
            }
        }
    }
}
