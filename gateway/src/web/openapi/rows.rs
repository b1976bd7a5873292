//! What each route of the API does, in a sentence, and the shapes of its bodies. A route that is not here is described by
//! its path and roles alone.

use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::posts::{Backlog, NewRule, Submission};
use crate::web::people::view::{
    AccountView, Done, GrantRequest, Networks, NewTokenAnswer, NewTokenRequest, NewUser, NewUserRequest, SessionView,
    TokenView, WithdrawRequest,
};
use crate::web::posts::api::{BulkRequest, DecideRequest, RedactRequest, StandingRequest};
use crate::web::posts::view::{AuthorView, ClaimView, DoneView, FullPostView, PostPage, PostView, RuleView, TrialView};

/// The schemas that are referred to.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;
type Shape = fn(&mut Schemas) -> RefOr<Schema>;

/// A reference to a type's schema, which is noted with those that it refers to.
pub(super) fn of<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let name = T::name();
    if !schemas.iter().any(|(known, _)| *known == name) {
        schemas.push((name.to_string(), <T as PartialSchema>::schema()));
        T::schemas(schemas);
    }
    RefOr::Ref(Ref::from_schema_name(name))
}

fn list<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    RefOr::T(ArrayBuilder::new().items(of::<T>(schemas)).into())
}

/// See the module.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) sentence: &'static str,
    pub(super) takes: Option<Shape>,
    pub(super) body_optional: bool,
    pub(super) gives: Option<Shape>,
    /// Does it answer 201 for something new?
    pub(super) makes: bool,
    /// The parameters of the query.
    pub(super) asks: &'static [&'static str],
}

const fn row(method: &'static str, path: &'static str, sentence: &'static str) -> Row {
    Row { method, path, sentence, takes: None, body_optional: false, gives: None, makes: false, asks: &[] }
}

impl Row {
    const fn takes(self, takes: Shape) -> Self {
        Self { takes: Some(takes), ..self }
    }

    const fn may_take(self, takes: Shape) -> Self {
        Self { takes: Some(takes), body_optional: true, ..self }
    }

    const fn gives(self, gives: Shape) -> Self {
        Self { gives: Some(gives), ..self }
    }

    const fn makes(self, gives: Shape) -> Self {
        Self { gives: Some(gives), makes: true, ..self }
    }

    const fn asks(self, asks: &'static [&'static str]) -> Self {
        Self { asks, ..self }
    }
}

const GET: &str = "GET";
const POST: &str = "POST";
const TENANT: &[&str] = &["tenant"];
const PAGED: &[&str] = &["tenant", "limit", "after"];
const QUEUE: &[&str] = &["tenant", "limit", "after", "domain", "recipient", "sender", "state"];
const POSTS: &[&str] = &[
    "tenant",
    "state",
    "after",
    "limit",
    "order",
    "skip",
    "band",
    "author",
    "lang",
    "source",
    "search",
    "similar",
    "older_than_seconds",
];

/// See the module.
pub(super) const ROWS: &[Row] = &[
    row(GET, "/v1/openapi.json", "This document."),
    row(GET, "/v1/queue", "Lists letters that wait, oldest first.").asks(QUEUE),
    row(GET, "/v1/queue/suspensions", "Lists deliveries that are suspended."),
    row(POST, "/v1/queue:suspend", "Starts no attempt for a tenant, a domain or a site, for a while or until resumed."),
    row(POST, "/v1/queue:resume", "Ends suspensions."),
    row(GET, "/v1/messages/{id}", "Shows a letter that waits."),
    row(GET, "/v1/messages/{id}/events", "Tells what happened to a letter and what happens next."),
    row(POST, "/v1/messages/{id}:retry", "Attempts a letter now."),
    row(POST, "/v1/messages/{id}:hold", "Stops attempting a letter until it is released."),
    row(POST, "/v1/messages/{id}:release", "Attempts a held letter again."),
    row(POST, "/v1/messages/{id}:bounce", "Gives a letter up, with a notice to its sender."),
    row(POST, "/v1/messages/{id}:drop", "Gives a letter up without a notice."),
    row(GET, "/v1/suppressions", "Lists addresses that get no more mail.")
        .asks(&["tenant", "search", "reason", "limit", "after"]),
    row(
        POST,
        "/v1/suppressions",
        "Adds addresses: {\"entries\": [{\"address\", \"reason\"?, \"source\"?, \"expires\"?}]}.",
    )
    .asks(TENANT),
    row(POST, "/v1/suppressions:remove", "Takes addresses off the list: {\"addresses\"}.").asks(TENANT),
    row(GET, "/v1/domains", "Lists domains by name.").asks(PAGED),
    row(POST, "/v1/domains", "Adds a domain to a tenant: {\"name\", \"tenant\"}."),
    row(GET, "/v1/domains/{domain}", "Shows a domain's records, expected against found, and its keys."),
    row(GET, "/v1/domains/{domain}/records", "Renders the records to publish: ?format=json|text|bind|csv and others.")
        .asks(&["format"]),
    row(POST, "/v1/domains/{domain}:check", "Asks DNS now."),
    row(GET, "/v1/domains/{domain}/keys", "Lists a domain's DKIM keys."),
    row(POST, "/v1/domains/{domain}/keys", "Makes a DKIM key: {\"algorithm\", \"selector\"?}."),
    row(POST, "/v1/domains/{domain}/keys/{selector}:activate", "Lets a key sign: {\"even_if_unpublished\"?}."),
    row(POST, "/v1/domains/{domain}/keys/{selector}:retire", "Takes a key one step towards its end."),
    row(POST, "/v1/domains/{domain}/keys/{selector}:revoke", "Destroys a key that must not be trusted any more."),
    row(POST, "/v1/domains/{domain}:rotate", "Makes new keys that sign as soon as they may."),
    row(POST, "/v1/posts", "Screens a post: published, held for a person, or spam. The same id is the same post.")
        .asks(TENANT)
        .takes(of::<Submission>)
        .makes(of::<PostView>),
    row(GET, "/v1/posts", "Lists posts: with ?after, changes in their order, for polling; else by ?order and filters.")
        .asks(POSTS)
        .gives(of::<PostPage>),
    row(
        POST,
        "/v1/posts:bulk",
        "Decides on many posts, or only says on which (dry_run); over 20 need their number in confirm.",
    )
    .asks(TENANT)
    .takes(of::<BulkRequest>)
    .gives(of::<DoneView>),
    row(GET, "/v1/posts/{id}", "Shows a post with its text, links, history and who looks at it.")
        .asks(TENANT)
        .gives(of::<FullPostView>),
    row(POST, "/v1/posts/{id}:approve", "Publishes a post; If-Match names the version that was seen.")
        .asks(TENANT)
        .may_take(of::<DecideRequest>)
        .gives(of::<FullPostView>),
    row(POST, "/v1/posts/{id}:spam", "Marks a post as spam; the filter learns it.")
        .asks(TENANT)
        .may_take(of::<DecideRequest>)
        .gives(of::<FullPostView>),
    row(POST, "/v1/posts/{id}:reject", "Refuses a post for another reason than spam.")
        .asks(TENANT)
        .may_take(of::<DecideRequest>)
        .gives(of::<FullPostView>),
    row(
        POST,
        "/v1/posts/{id}:undo",
        "Takes the last decision back, with what the filter learned and the ban that came with it.",
    )
    .asks(TENANT)
    .may_take(of::<DecideRequest>)
    .gives(of::<FullPostView>),
    row(POST, "/v1/posts/{id}:claim", "Says for two minutes that somebody looks at a post.")
        .asks(TENANT)
        .gives(of::<ClaimView>),
    row(POST, "/v1/posts/{id}:redact", "Strikes a piece out of a post, for good.")
        .asks(TENANT)
        .takes(of::<RedactRequest>)
        .gives(of::<PostView>),
    row(GET, "/v1/authors/{id}", "Shows an author with standing, history and last posts.")
        .asks(TENANT)
        .gives(of::<AuthorView>),
    row(POST, "/v1/authors/{id}:trust", "Lets an author's posts pass where the filter is unsure.")
        .asks(TENANT)
        .may_take(of::<StandingRequest>),
    row(POST, "/v1/authors/{id}:silence", "Holds everything of an author for a while.")
        .asks(TENANT)
        .may_take(of::<StandingRequest>),
    row(POST, "/v1/authors/{id}:ban", "Stops everything of an author; may hide earlier posts, which dry_run shows.")
        .asks(TENANT)
        .may_take(of::<StandingRequest>),
    row(POST, "/v1/authors/{id}:unban", "Treats an author as usual again.")
        .asks(TENANT)
        .may_take(of::<StandingRequest>),
    row(GET, "/v1/backlog", "How the queue of posts stands.").asks(TENANT).gives(of::<Backlog>),
    row(GET, "/v1/post-rules", "Lists the rules.").asks(TENANT).gives(list::<RuleView>),
    row(POST, "/v1/post-rules", "Adds a rule in shadow: it counts and does not bite.")
        .asks(TENANT)
        .takes(of::<NewRule>)
        .gives(of::<RuleView>),
    row(POST, "/v1/post-rules:try", "Tries a rule on the last 1,000 posts.")
        .asks(TENANT)
        .takes(of::<NewRule>)
        .gives(of::<TrialView>),
    row(POST, "/v1/post-rules/{number}:enforce", "Puts a rule in force.").asks(TENANT).gives(of::<RuleView>),
    row(POST, "/v1/post-rules/{number}:shadow", "Puts a rule back in shadow.").asks(TENANT).gives(of::<RuleView>),
    row(POST, "/v1/post-rules/{number}:remove", "Removes a rule.").asks(TENANT).gives(of::<RuleView>),
    row(GET, "/v1/users", "Lists who may enter, by address.").asks(PAGED).gives(list::<AccountView>),
    row(POST, "/v1/users", "Lets a person enter; a first password is in the answer this once.")
        .takes(of::<NewUserRequest>)
        .gives(of::<NewUser>),
    row(GET, "/v1/users/{email}", "Shows a person.").gives(of::<AccountView>),
    row(GET, "/v1/users/{email}/sessions", "Lists where a person is signed in.").gives(list::<SessionView>),
    row(POST, "/v1/users/{email}:grant", "Gives a role, in place of the one in that tenant.")
        .takes(of::<GrantRequest>)
        .gives(of::<AccountView>),
    row(POST, "/v1/users/{email}:withdraw", "Takes the role in a tenant away.")
        .takes(of::<WithdrawRequest>)
        .gives(of::<Done>),
    row(POST, "/v1/users/{email}:disable", "Shuts an account and ends its sessions.").gives(of::<Done>),
    row(POST, "/v1/users/{email}:enable", "Opens an account again.").gives(of::<Done>),
    row(POST, "/v1/users/{email}:end-sessions", "Signs a person out everywhere.").gives(of::<Done>),
    row(POST, "/v1/users/{email}:reset-totp", "Takes a lost second factor away.").gives(of::<Done>),
    row(POST, "/v1/users/{email}:reset-password", "Makes a new first password, in the answer this once.")
        .gives(of::<NewUser>),
    row(POST, "/v1/users/{email}:remove", "Removes an account.").gives(of::<Done>),
    row(GET, "/v1/tokens", "Lists tokens, latest first; never with secrets.").asks(PAGED).gives(list::<TokenView>),
    row(POST, "/v1/tokens", "Makes a token; its secret is in the answer this once.")
        .takes(of::<NewTokenRequest>)
        .gives(of::<NewTokenAnswer>),
    row(POST, "/v1/tokens/{id}:revoke", "Ends a token at once.").gives(of::<Done>),
    row(GET, "/v1/networks", "Where people may enter from; with ?tenant, that tenant's people.")
        .asks(TENANT)
        .gives(of::<Networks>),
    row(POST, "/v1/networks", "Sets where people may enter from; an empty list: anywhere.")
        .asks(TENANT)
        .takes(of::<Networks>)
        .gives(of::<Networks>),
];
