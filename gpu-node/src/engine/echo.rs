//! An engine that says what it is told: for tests of everything around a model, and for load.

use std::time::Duration;

use super::sampler::Sampler;
use super::tokenizer::{Chat, Tokenizer};
use super::{Engine, EngineError, Info, Sequence, Step, tiny};
use crate::evidence::Recorder;

/// Numbers of its rows.
const WIDTH: usize = 64;
/// Tokens that the echo holds.
const CONTEXT_TOKENS: u32 = 65_536;

/// Repeats the prompt's tokens, one per byte, and ends.
pub struct Echo {
    tokenizer: Tokenizer,
    delay: Duration,
}

impl Echo {
    /// An echo that takes `delay` for each token.
    ///
    /// # Errors
    /// None that the code as it is can give.
    pub fn new(delay: Duration) -> Result<Self, EngineError> {
        let chat = Chat {
            template: Some("{{ messages[0].content }}".to_owned()),
            eos: Some("<|im_end|>".to_owned()),
            ..Chat::default()
        };
        let tokenizer = Tokenizer::from_json(tiny::tokenizer_json().as_bytes(), chat)?;
        Ok(Self { tokenizer, delay })
    }
}

impl Engine for Echo {
    fn info(&self) -> Info {
        Info {
            kernel_id: "echo/1".to_owned(),
            context_tokens: CONTEXT_TOKENS,
            template_tokens: self.tokenizer.template_tokens(),
        }
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn open(&self, prompt: &[u32], _capacity: usize) -> Result<Box<dyn Sequence>, EngineError> {
        let mut tokens = prompt.to_vec();
        tokens.extend(self.tokenizer.eos().first());
        let (prompt, delay) = (prompt.to_vec(), self.delay);
        Ok(Box::new(Repeat { tokens: tokens.into_iter(), last: None, prompt, delay }))
    }
}

struct Repeat {
    tokens: std::vec::IntoIter<u32>,
    /// Written last.
    last: Option<u32>,
    prompt: Vec<u32>,
    delay: Duration,
}

impl Sequence for Repeat {
    fn step(
        &mut self,
        _sampler: &Sampler,
        recorder: Option<&mut Recorder>,
    ) -> Result<Step, EngineError> {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        let token = self
            .tokens
            .next()
            .ok_or_else(|| EngineError::Model("the echo has nothing more to say".to_owned()))?;
        if let Some(recorder) = recorder {
            let read = match self.last {
                Some(last) => last,
                None => {
                    let rows: Vec<f32> = self.prompt.iter().flat_map(|token| row(*token)).collect();
                    recorder.prompt(&rows, WIDTH, true)?;
                    self.prompt.last().copied().unwrap_or_default()
                }
            };
            recorder.output(&row(read))?;
        }
        self.last = Some(token);
        Ok(Step::Token(token))
    }
}

/// What it has in mind when it has read a token: its bits, as signs of whole numbers.
fn row(token: u32) -> [f32; WIDTH] {
    std::array::from_fn(|column| {
        let size = (column + 1) as f32;
        if (token >> (column % 32)) & 1 == 1 { -size } else { size }
    })
}
