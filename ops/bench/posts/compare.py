"""Splits corpora by group, scores them by the rivals that are installed, prints the table. See `run`."""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path


def samples(path):
    opener = gzip.open if path.endswith(".gz") else open
    folder = Path(path).parent.name
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield {"corpus": folder, **json.loads(line)}


def split(work, paths):
    """A quarter of the groups of near duplicates is kept back, by their names, so that every run splits alike."""
    with open(work / "train.jsonl", "w") as train, open(work / "test.jsonl", "w") as test:
        for path in paths:
            for sample in samples(path):
                group = f"{sample['corpus']}/{sample.get('cluster') or sample['text']}"
                kept = hashlib.sha256(group.encode()).digest()[0] % 4 == 0
                (test if kept else train).write(json.dumps(sample, ensure_ascii=False) + "\n")


def load(work, name):
    rows = [json.loads(line) for line in open(work / f"{name}.jsonl")]
    return [row["text"] for row in rows], [row["label"] == "spam" for row in rows], rows


def figures(scores, spam):
    """ROC AUC, recall at 0.1 % and 1 % false positives, Brier score."""
    ham = sorted((s for s, label in zip(scores, spam) if not label), reverse=True)
    bad = [s for s, label in zip(scores, spam) if label]
    recalls = [sum(s > ham[int(len(ham) * share)] for s in bad) / len(bad) for share in (0.001, 0.01)]
    ranked = sorted(zip(scores, spam))
    below = wins = at = 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        tied = sum(label for _, label in ranked[at:end])
        wins += tied * (below + (end - at - tied) / 2)
        below += end - at - tied
        at = end
    brier = sum((s - label) ** 2 for s, label in zip(scores, spam)) / len(spam)
    return [wins / (len(bad) * len(ham)), *recalls, brier]


def mbox(path, texts):
    with open(path, "w") as out:
        for number, text in enumerate(texts):
            subject, _, body = text.partition("\n")
            body = "\n".join(">" + line if line.startswith("From ") else line for line in (body or subject).split("\n"))
            subject = " ".join(subject.split())[:500]
            out.write(
                "From a@example.com Mon Jan  5 10:00:00 2026\nFrom: a@example.com\nTo: b@example.com\n"
                f"Message-ID: <{number}@example.com>\nSubject: {subject}\nMIME-Version: 1.0\n"
                f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}\n\n"
            )


def bogofilter(work, train, train_spam, test):
    if not shutil.which("bogofilter"):
        return None
    base = work / "bogofilter"
    base.mkdir()
    for flag, label in (("-s", True), ("-n", False)):
        mbox(work / "part.mbox", [text for text, spam in zip(train, train_spam) if spam == label])
        subprocess.run(["bogofilter", "-d", base, "-M", flag, "-I", work / "part.mbox"], check=True)
    mbox(work / "test.mbox", test)
    started = time.monotonic()
    out = subprocess.run(
        ["bogofilter", "-d", base, "-M", "-TT", "-I", work / "test.mbox"], stdout=subprocess.PIPE, text=True
    ).stdout
    spent = time.monotonic() - started
    scores = [float(line.split()[-1]) for line in out.splitlines()]
    if len(scores) != len(test):
        print(f"bogofilter answered {len(scores)} of {len(test)} posts: left out", file=sys.stderr)
        return None
    return scores, len(test) / spent


SPAMASSASSIN = r"""
use strict; use warnings; use Mail::SpamAssassin; use Time::HiRes 'time';
my ($home, $mode, $path) = @ARGV;
my $sa = Mail::SpamAssassin->new({ dont_copy_prefs => 1, local_tests_only => 1, userprefs_filename => '/dev/null',
    userstate_dir => $home, config_text => "use_bayes 1\nbayes_path $home/bayes\nbayes_min_ham_num 1\n" .
    "bayes_min_spam_num 1\nbayes_auto_learn 0\nbayes_auto_expire 0\nbayes_learn_to_journal 0\nlock_method flock\n" .
    "loadplugin Mail::SpamAssassin::Plugin::Bayes\n" });
$sa->init(1); $sa->init_learner({});
my ($bayes) = grep { ref eq 'Mail::SpamAssassin::Plugin::Bayes' } @{$sa->{plugins}{plugins}};
local $/ = "\nFrom a\@example.com "; open my $in, '<', $path or die; my $started = time;
while (my $mail = <$in>) { chomp $mail; $mail =~ s/^[^\n]*\n//; my $message = $sa->parse($mail, 1);
    if ($mode eq 'score') { my $status = $bayes->scan(Mail::SpamAssassin::PerMsgStatus->new($sa, $message), $message);
        print defined $status ? $status : 0.5, "\n"; }
    else { $sa->learn($message, undef, $mode eq 'spam', 0)->finish; } $message->finish; }
print STDERR time - $started, "\n"; $sa->finish_learner; $sa->finish;
"""


def spamassassin(work, train, train_spam, test):
    if not shutil.which("sa-learn"):
        return None
    home = work / "spamassassin"
    home.mkdir()
    script = work / "bayes.pl"
    script.write_text(SPAMASSASSIN)
    for name, label in (("spam", True), ("ham", False)):
        mbox(work / "part.mbox", [text for text, spam in zip(train, train_spam) if spam == label])
        subprocess.run(["perl", script, home, name, work / "part.mbox"], check=True, stderr=subprocess.DEVNULL)
    mbox(work / "test.mbox", test)
    done = subprocess.run(["perl", script, home, "score", work / "test.mbox"], check=True, capture_output=True, text=True)
    scores = [float(line) for line in done.stdout.split()]
    if len(scores) != len(test) or len(set(scores)) < 10:
        print(f"SpamAssassin answered {len(scores)} of {len(test)} posts: left out", file=sys.stderr)
        return None
    return scores, len(test) / float(done.stderr.split()[-1])


def scikit(train, train_spam, test):
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union
    except ImportError:
        return None
    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3),
        ),
        LogisticRegression(C=10, max_iter=300),
    )
    model.fit(train, train_spam)
    started = time.monotonic()
    scores = model.predict_proba(test)[:, 1].tolist()
    return scores, len(test) / (time.monotonic() - started)


def table(work):
    train, train_spam, _ = load(work, "train")
    test, spam, rows = load(work, "test")
    ours = [json.loads(line)["probability"] for line in open(work / "ours.scores")]
    runs = {"Waxseal": (ours, None)}
    for name, run in {
        "bogofilter": lambda: bogofilter(work, train, train_spam, test),
        "SpamAssassin's Bayes": lambda: spamassassin(work, train, train_spam, test),
        "scikit-learn TF-IDF LR": lambda: scikit(train, train_spam, test),
    }.items():
        result = run()
        if result is None:
            print(f"{name}: not installed, or no answer; left out", file=sys.stderr)
        else:
            runs[name] = result
    print(f"{len(train)} posts to learn from, {len(test)} to judge ({sum(spam)} spam)\n")
    print("| filter | ROC AUC | recall at 0.1 % | at 1 % | Brier | posts/s, one core |\n|---|---|---|---|---|---|")
    for name, (scores, speed) in runs.items():
        auc, low, high, brier = figures(scores, spam)
        print(f"| {name} | {auc:.4f} | {low:.3f} | {high:.3f} | {brier:.4f} | {f'{speed:,.0f}' if speed else 'below'} |")
    for key in ("corpus", "lang"):
        print(f"\nRecall at 1 % false positives, by {key}, each at its own threshold:\n")
        print(f"| {key} | " + " | ".join(runs) + " |\n|---|" + "---|" * len(runs))
        for value in sorted({row.get(key, "und") for row in rows}):
            at = [number for number, row in enumerate(rows) if row.get(key, "und") == value]
            if 0 < sum(spam[number] for number in at) < len(at):
                recalls = [figures([scores[n] for n in at], [spam[n] for n in at])[2] for scores, _ in runs.values()]
                print(f"| {value} | " + " | ".join(f"{recall:.3f}" for recall in recalls) + " |")


def speed(work, waxseal):
    """One process on one core, reading JSON and writing reasons, the loading of the model taken off."""
    command = [waxseal, "posts", "classify", "--model", work / "ours.model"]
    if shutil.which("taskset"):
        command = ["taskset", "-c", "0", *command]
    posts = open(work / "test.jsonl").read()
    spent = []
    for text in ("", posts * 4):
        started = time.monotonic()
        subprocess.run(command, input=text, stdout=subprocess.DEVNULL, text=True, check=True)
        spent.append(time.monotonic() - started)
    print(f"\nWaxseal on one core: {posts.count(chr(10)) * 4 / (spent[1] - spent[0]):,.0f} posts/s, loading {spent[0]:.2f} s")


def main():
    what, work, *rest = sys.argv[1:]
    {"split": split, "table": lambda work, _: table(work), "speed": lambda work, rest: speed(work, *rest)}[what](
        Path(work), rest
    )


if __name__ == "__main__":
    main()
