//! Opening the posts room.

use std::sync::Arc;

use super::{QueueKeys, RunError};
use crate::clock::Clock;
use crate::config::Config;
use crate::observe::{Event, emit};
use crate::posts::{NoClassifier, Posts, Settings, Thresholds};
use crate::tenants::Registry;

/// What the configuration says about posts.
pub(super) fn settings(config: &Config) -> Settings {
    let thresholds = Thresholds { publish_below: config.spam.publish_below, spam_above: config.spam.spam_above };
    Settings { thresholds, redaction: config.redaction.clone(), ..Settings::default() }
}

/// Opens the posts, loudly where something was wrong with them.
pub(super) fn open(config: &Config, registry: &Arc<Registry>, clock: Arc<dyn Clock>) -> Result<Arc<Posts>, RunError> {
    let keys = Arc::new(QueueKeys(registry.clone()));
    let opened = Posts::open(&config.data_dir, keys, Arc::new(NoClassifier), clock, settings(config));
    let (posts, opened) = opened.map_err(|e| RunError::Store(e.to_string()))?;
    if let Some(aside) = opened.set_aside {
        let detail =
            format!("the database of posts could not be read and was put aside as {aside}; held posts are in it");
        emit(&Event::Gateway { state: "posts-set-aside", detail });
    }
    if opened.damaged > 0 {
        let detail = format!("{} records of posts do not open and were left where they are", opened.damaged);
        emit(&Event::Gateway { state: "posts-damaged", detail });
    }
    Ok(posts)
}
