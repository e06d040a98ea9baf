//! Which adapter acts in one request.
//!
//! Nothing acts between two requests: each switches on what it names, and off again. So no order of attaching, selecting and training
//! can leave two adapters acting, or let a request hear another one than it named.

use super::Lab;
use crate::error::{Error, Result};

/// Who answers a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// The active adapter if it is switched on, else the base.
    #[default]
    Active,
    /// The base alone.
    Base,
    /// The adapter of this name, whichever is active and whether or not it is switched on.
    Adapter(String),
}

impl From<bool> for Voice {
    /// `true` is the active adapter, `false` the base.
    fn from(adapter: bool) -> Self {
        if adapter { Self::Active } else { Self::Base }
    }
}

impl From<&str> for Voice {
    fn from(name: &str) -> Self {
        Self::Adapter(name.into())
    }
}

impl Lab {
    /// The name of the adapter that a voice means at this moment; `None` for the base.
    ///
    /// # Errors
    /// `no-adapter`, and `merged` if another adapter than the one meant is merged into the weights, so that it cannot be asked.
    pub(super) fn speaker(&self, voice: &Voice, what: &'static str) -> Result<Option<String>> {
        let speaker = match voice {
            Voice::Active if self.enabled => self.active.clone(),
            Voice::Active | Voice::Base => None,
            Voice::Adapter(name) => {
                self.named(name)?;
                Some(name.clone())
            }
        };
        self.can_act(speaker.as_deref(), what)?;
        Ok(speaker)
    }

    /// Refuses everybody but the merged adapter while one is merged.
    pub(super) fn can_act(&self, speaker: Option<&str>, what: &'static str) -> Result<()> {
        match &self.merged {
            Some(merged) if speaker != Some(merged) => Err(Error::Merged { what }),
            _ => Ok(()),
        }
    }

    /// Lends the lab to `f` while the adapter `speaker`, and no other, acts with `strength`. While it is merged, the weights hold it already.
    pub(super) fn acting<R>(&self, speaker: Option<&str>, strength: f32, f: impl FnOnce(&Self) -> R) -> R {
        let adapter = speaker.and_then(|name| self.adapters.get(name)).map(|kept| kept.adapter.switch());
        if let Some(switch) = adapter {
            switch.set_strength(strength);
            switch.set_active(true);
        }
        let result = f(self);
        if let Some(switch) = adapter {
            switch.set_active(false);
        }
        result
    }
}
