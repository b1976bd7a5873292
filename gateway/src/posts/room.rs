//! The room itself: opening, and what its other parts share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::book::Book;
use super::disk::LocalPostDisk;
use super::shelf::{Batch, Kind, Shelf};
use super::{Author, Body, Classifier, Post, PostDisk, PostError, PostId, Thresholds};
use crate::clock::{Clock, Timestamp};
use crate::ids::TenantId;
use crate::redact::Policy;
use crate::store::control::DiskError;
use crate::store::journal::TenantKeys;
use crate::threads::Processors;

/// Lines of a post's history; an author who changes a post a thousand times pushes the oldest out.
pub(super) const MAX_HISTORY: usize = 100;

/// What the configuration says about posts.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Between these a person decides.
    pub thresholds: Thresholds,
    /// How long posts are kept; held ones expire then.
    pub retention: Duration,
    /// How card numbers are struck out, where a tenant has no policy of its own.
    pub redaction: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            thresholds: Thresholds { publish_below: 0.2, spam_above: 0.97 },
            retention: Duration::from_hours(30 * 24),
            redaction: Policy::default(),
        }
    }
}

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The post as it is now.
    pub post: Post,
    /// Was it not there before?
    pub new: bool,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenedPosts {
    /// Posts that were read.
    pub posts: usize,
    /// Records that do not open: damaged, or of a tenant whose key is gone.
    pub damaged: usize,
    /// The database could not be opened and was put aside under this name.
    pub set_aside: Option<String>,
}

/// The posts of all tenants. Share it in an `Arc`.
pub struct Posts {
    pub(super) shelf: Shelf,
    pub(super) classifier: Arc<dyn Classifier>,
    pub(super) clock: Arc<dyn Clock>,
    books: RwLock<HashMap<TenantId, Arc<Mutex<Book>>>>,
    /// One learner a tenant at a time, so that lessons are taken in their order.
    pub(super) learning: Mutex<HashMap<TenantId, Arc<Mutex<()>>>>,
    settings: RwLock<Settings>,
    processors: Processors,
}

impl Posts {
    /// Opens `<data_dir>/posts`. A database that cannot be opened is put aside, and that is to be told loudly: mail
    /// must flow, and what was held is not lost to whoever looks at the folder.
    pub fn open(
        data_dir: &Path,
        keys: Arc<dyn TenantKeys>,
        classifier: Arc<dyn Classifier>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, OpenedPosts), PostError> {
        let failed = |error: DiskError| PostError::Store(error.to_string());
        let (disk, set_aside) = match LocalPostDisk::open(data_dir) {
            Ok(disk) => (disk, None),
            Err(DiskError::Damaged(_)) => {
                let aside = LocalPostDisk::move_aside(data_dir, clock.now().seconds()).map_err(failed)?;
                (LocalPostDisk::open(data_dir).map_err(failed)?, Some(aside.display().to_string()))
            }
            Err(error) => return Err(failed(error)),
        };
        let (posts, mut opened) = Self::open_on(Arc::new(disk), keys, classifier, clock, settings)?;
        opened.set_aside = set_aside;
        Ok((posts, opened))
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn PostDisk>,
        keys: Arc<dyn TenantKeys>,
        classifier: Arc<dyn Classifier>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, OpenedPosts), PostError> {
        let shelf = Shelf::new(disk, keys).map_err(|error| PostError::Store(error.to_string()))?;
        let posts = Self {
            shelf,
            classifier,
            clock,
            books: RwLock::default(),
            learning: Mutex::default(),
            settings: RwLock::new(settings),
            processors: Processors::all(),
        };
        let opened = posts.read()?;
        Ok((Arc::new(posts), opened))
    }

    fn read(&self) -> Result<OpenedPosts, PostError> {
        let mut opened = OpenedPosts::default();
        opened.damaged += self.shelf.each(Kind::Author, |tenant, author: Author| {
            self.book(tenant).lock().authors.insert(author.id.clone(), author);
        })?;
        let mut unlearned: Vec<(TenantId, Post)> = Vec::new();
        opened.damaged += self.shelf.each(Kind::Post, |tenant, post: Post| {
            opened.posts += 1;
            self.book(tenant).lock().insert(&post);
            if post.learned.is_some() {
                unlearned.push((tenant, post));
            }
        })?;
        opened.damaged += self.shelf.each(Kind::Operation, |tenant, operation: super::Operation| {
            self.book(tenant).lock().number_was_given(operation.number);
        })?;
        let mut tenants = self.tenants();
        tenants.extend(self.shelf.tenants(Kind::Rules)?);
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants {
            self.read_rules(tenant)?;
            self.restore_lessons(tenant, &unlearned)?;
        }
        Ok(opened)
    }

    /// The book of a tenant.
    pub(super) fn book(&self, tenant: TenantId) -> Arc<Mutex<Book>> {
        if let Some(book) = self.books.read().get(&tenant) {
            return book.clone();
        }
        self.books.write().entry(tenant).or_default().clone()
    }

    /// Every tenant that has posts.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.books.read().keys().copied().collect()
    }

    /// What is in force.
    pub fn settings(&self) -> Settings {
        self.settings.read().clone()
    }

    /// Copies everything into the new folder `target`, for a backup. Blocks on the disk.
    pub fn copy_into(&self, target: &Path) -> Result<(), String> {
        self.shelf.copy_into(target)
    }

    /// The time, as everything here knows it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Puts new settings in force; verdicts that were given stay.
    pub fn reconfigure(&self, settings: Settings) {
        *self.settings.write() = settings;
    }

    /// Runs work that holds a processor.
    pub(super) async fn on_processor<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PostError> {
        self.processors.run(work).await.ok_or_else(|| PostError::Store("the gateway is going down".into()))
    }

    /// A post's record.
    pub(super) fn load(&self, tenant: TenantId, number: u64) -> Result<Option<Post>, PostError> {
        self.shelf.get(Kind::Post, tenant, &number.to_be_bytes())
    }

    /// A post's text; `None` after it expired.
    pub(super) fn load_body(&self, tenant: TenantId, number: u64) -> Result<Option<Body>, PostError> {
        self.shelf.get_pieces(Kind::Body, tenant, &number.to_be_bytes())
    }

    pub(super) fn put_post(&self, batch: &mut Batch, tenant: TenantId, post: &Post) -> Result<(), PostError> {
        self.shelf.put(batch, Kind::Post, tenant, &post.number.to_be_bytes(), post)
    }

    pub(super) fn put_body(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        number: u64,
        body: &Body,
    ) -> Result<(), PostError> {
        self.shelf.put_pieces(batch, Kind::Body, tenant, &number.to_be_bytes(), body)
    }

    pub(super) fn put_author(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        book: &Book,
        id: &super::AuthorId,
    ) -> Result<(), PostError> {
        let Some(author) = book.authors.get(id) else { return Ok(()) };
        let name = self.shelf.mac(tenant, id.as_str().as_bytes())?;
        self.shelf.put(batch, Kind::Author, tenant, &name, author)
    }

    /// The number of a post by its id.
    pub(super) fn number_of(book: &Book, id: &PostId) -> Result<u64, PostError> {
        book.find(id).ok_or_else(|| PostError::no_post(id.as_str()))
    }
}
