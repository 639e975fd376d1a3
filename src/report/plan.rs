//! A plan as text and as JSON. The sentences are those that a run logs.

use serde_json::{Value, json};

use crate::model::Bytes;
use crate::plan::{Afterwards, DatasetPlan, Kept, Phase, Plan, Step, Verdict};

/// For people, on standard output.
pub fn text(drive: &str, afterwards: &Afterwards<'_>, plan: &Plan) -> String {
    let mut lines = Vec::new();
    for dataset in &plan.datasets {
        dataset_lines(dataset, afterwards, &mut lines);
    }
    lines.extend(plan.warnings.iter().cloned());
    let streams: usize = plan.datasets.iter().map(|dataset| dataset.sends().count()).sum();
    let pruned: usize = plan.datasets.iter().map(DatasetPlan::destroyed).sum();
    let refused = plan.refused().count();
    lines.push(String::new());
    lines.push(format!(
        "{drive}: {} in {}, about {}; {pruned} to be destroyed on the drive; {refused} refused.",
        super::text::count(plan.snapshots(), "snapshot"),
        super::text::count(streams, "stream"),
        plan.estimate()
    ));
    lines.push("Nothing was changed.".to_owned());
    lines.join("\n") + "\n"
}

fn dataset_lines(dataset: &DatasetPlan, afterwards: &Afterwards<'_>, lines: &mut Vec<String>) {
    let (source, target) = (&dataset.source, &dataset.target);
    lines.push(format!("{source} -> {target}"));
    match &dataset.verdict {
        Verdict::UpToDate => lines.push("  up to date".to_owned()),
        Verdict::Parent => lines.push("  not sent itself; the datasets below it are".to_owned()),
        Verdict::Behind => {}
        Verdict::Refused(refusal) => {
            lines.push(format!("  refused: {}", refusal.finding(source, target)));
            lines.extend(
                refusal
                    .remedies(source, target, afterwards)
                    .iter()
                    .map(|remedy| format!("    try: {remedy}")),
            );
        }
    }
    for step in dataset.steps.iter().filter(|step| is_told(step)) {
        let size = match step {
            Step::Send(send) => format!(" ({})", send.estimate),
            _ => String::new(),
        };
        lines.push(format!("  {step}{size}"));
    }
    lines.extend(dataset.kept.iter().map(|kept| format!("  {kept}")));
    if let Some(held) = &dataset.held_back {
        lines.push(format!("  {}", held.warning(target, afterwards.retry)));
    }
    lines.extend(dataset.warnings.iter().chain(&dataset.notes).map(|text| format!("  {text}")));
}

/// Bookkeeping is part of every send and would hide what matters; JSON has all of it.
fn is_told(step: &Step) -> bool {
    !matches!(
        step.phase(),
        Phase::Protect | Phase::Hold | Phase::Verify | Phase::Keep | Phase::Reduce | Phase::Record
    )
}

/// For machines.
pub fn json(drive: &str, afterwards: &Afterwards<'_>, plan: &Plan) -> Value {
    let datasets: Vec<Value> =
        plan.datasets.iter().map(|dataset| dataset_json(dataset, afterwards)).collect();
    json!({
        "v": 1,
        "event": "plan",
        "drive": drive,
        "snapshots": plan.snapshots(),
        "estimate": plan.estimate(),
        "datasets": datasets,
        "warnings": plan.warnings,
    })
}

fn dataset_json(dataset: &DatasetPlan, afterwards: &Afterwards<'_>) -> Value {
    let (source, target) = (&dataset.source, &dataset.target);
    let (verdict, refusal) = match &dataset.verdict {
        Verdict::UpToDate => ("up-to-date", Value::Null),
        Verdict::Behind => ("behind", Value::Null),
        Verdict::Parent => ("parent", Value::Null),
        Verdict::Refused(refusal) => (
            "refused",
            json!({
                "finding": refusal.finding(source, target).to_string(),
                "remedies": refusal.remedies(source, target, afterwards),
            }),
        ),
    };
    let step = |step: &Step| {
        let bytes = if let Step::Send(send) = step { Some(send.estimate) } else { None::<Bytes> };
        json!({ "phase": format!("{:?}", step.phase()).to_lowercase(), "what": step.to_string(), "estimate": bytes })
    };
    let kept = |kept: &Kept| {
        let why: Vec<_> = kept.why.iter().map(ToString::to_string).collect();
        json!({ "snapshot": kept.snapshot.to_string(), "why": why })
    };
    let held: Vec<String> =
        dataset.held_back.iter().flat_map(|h| &h.snapshots).map(ToString::to_string).collect();
    json!({
        "backup": dataset.backup,
        "source": source.as_str(),
        "target": target.as_str(),
        "verdict": verdict,
        "refusal": refusal,
        "steps": dataset.steps.iter().map(step).collect::<Vec<_>>(),
        "kept": dataset.kept.iter().map(kept).collect::<Vec<_>>(),
        "held-back": held,
        "held-back-frees": dataset.held_back.as_ref().map(|held| held.frees.least),
        "warnings": dataset.warnings,
    })
}

#[cfg(test)]
mod tests;
