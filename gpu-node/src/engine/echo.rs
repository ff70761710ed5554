//! An engine that says what it is told: for tests of everything around a model, and for load.

use std::time::Duration;

use super::sampler::Sampler;
use super::tokenizer::{Chat, Tokenizer};
use super::{Engine, EngineError, Info, Sequence, Step, tiny};

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
        Ok(Box::new(Repeat { tokens: tokens.into_iter(), delay: self.delay }))
    }
}

struct Repeat {
    tokens: std::vec::IntoIter<u32>,
    delay: Duration,
}

impl Sequence for Repeat {
    fn step(&mut self, _sampler: &Sampler) -> Result<Step, EngineError> {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        self.tokens
            .next()
            .map(Step::Token)
            .ok_or_else(|| EngineError::Model("the echo has nothing more to say".to_owned()))
    }
}
