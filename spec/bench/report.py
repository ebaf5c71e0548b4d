#!/usr/bin/env python3
"""Turns measurements into ratios and tables.

    spec/bench/report.py [result.json]   puts them into docs/benchmarks.md, as its section "Results"
"""

import json
import os
import re
import statistics
import sys

OURS = "moonhook"
DOCS = "docs/benchmarks.md"

# What was aimed at, on a quiet machine: a workload's CPU per operation beside a peer's, at most.
AIMS = [
    ("hello", "nginx-lua", 0.93), ("hello", "node", 0.46), ("hello", "bare C", 1.12),
    ("json", "nginx-lua", 0.80), ("json", "node", 0.45),
    ("relay", "nginx-lua", 0.37), ("relay", "node", 0.80),
    ("paced", "nginx-lua", 0.65), ("paced", "node", 0.50),
    ("chat", "node", 0.60),
]
DELAY_AIM_US = 1000  # the p99 of paced
OTHER_AIMS = {  # by the name in `run`: the most, or the least; its unit
    "idle": (3 * 1024, None, "bytes"), "held": (8 * 1024, None, "bytes"),
    "cold": (15, None, "ms"), "looping": (120, None, "ms"), "thousand": (2, None, "s"),
    "pair": (None, 1.7, "times"),
}


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def summarise(rounds):
    """rounds[workload][peer] = [measurement or None, ...] in the order of the rounds. A ratio is
    formed inside each round, so that the machine's mood divides out."""
    rows = []
    for workload, by_peer in rounds.items():
        ours = by_peer.get(OURS, [])
        for peer, theirs in by_peer.items():
            pairs = [(a, b) for a, b in zip(ours, theirs) if a and b]
            if not [b for b in theirs if b]:
                continue
            row = {"workload": workload, "peer": peer}
            for what in ("cpu_us", "rate", "p50", "p99"):
                values = [b[what] for b in theirs if b and b[what] is not None]
                row[what] = spread(values) if values else None
            if peer != OURS and pairs:
                row["cpu_ratio"] = spread([a["cpu_us"] / b["cpu_us"] for a, b in pairs])
                row["rate_ratio"] = spread([a["rate"] / b["rate"] for a, b in pairs])
            rows.append(row)
    return rows


def ratio_text(ratio):
    if not ratio:
        return ""
    return f"**{ratio['median']:.2f}** ({ratio['least']:.2f} to {ratio['most']:.2f})"


def number_text(value, digits):
    return "-" if value is None else f"{value['median']:,.{digits}f}"


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "| --- " * len(head) + "|",
                      *("| " + " | ".join(line) + " |" for line in lines)])


def speed_table(result):
    units = result["units"]
    lines = [[f"{row['workload']} ({units[row['workload']]})", row["peer"],
              number_text(row["cpu_us"], 2), ratio_text(row.get("cpu_ratio")),
              number_text(row["rate"], 0), ratio_text(row.get("rate_ratio")),
              number_text(row["p50"], 0), number_text(row["p99"], 0)] for row in result["speed"]]
    lines += [[workload, peer, f"{verb}: {' '.join(why.split())}", "", "", "", "", ""]
              for verb, key in (("cannot", "lacks"), ("not run", "not_run"))
              for workload, peer, why in result[key]]
    return table(["workload (operation)", "server", "CPU per operation, us", "Moonhook's / its",
                  "operations/s", "Moonhook's / its", "p50, us", "p99, us"], lines)


def other_table(result):
    if not result["other"]:
        return ""
    return table(["what", "server", "measured"],
                 [[row["what"], row["peer"], row["text"]] for row in result["other"]])


def verdict(is_met):
    return "yes" if is_met else "**no**"


def aims_table(result):
    rows = {(row["workload"], row["peer"]): row for row in result["speed"]}
    others = {row["name"]: row for row in result["other"]
              if row["peer"] == OURS and row["value"] is not None}
    lines = []
    for workload, peer, most in AIMS:
        ratio = rows.get((workload, peer), {}).get("cpu_ratio")
        if ratio:
            lines.append([f"{workload}, CPU beside {peer}", f"at most {most:.2f}",
                          ratio_text(ratio), verdict(ratio["median"] <= most)])
    paced = rows.get(("paced", OURS))
    if paced and paced["p99"]:
        delay = paced["p99"]["median"]
        lines.append(["paced, p99 of the added delay", f"at most {DELAY_AIM_US:,} us",
                      f"{delay:,.0f} us", verdict(delay <= DELAY_AIM_US)])
    for name, (most, least, unit) in OTHER_AIMS.items():
        if name in others:
            value = others[name]["value"]
            lines.append([others[name]["what"],
                          f"at most {most:,} {unit}" if most else f"at least {least} {unit}",
                          f"{value:,.2f} {unit}",
                          verdict(value <= most if most else value >= least)])
    greedy = others.get("greedy")
    if greedy and greedy.get("alone"):
        most = 2 * greedy["alone"] + 5
        lines.append([greedy["what"], f"at most {most:.1f} ms (twice alone, and 5)",
                      f"{greedy['value']:.2f} ms", verdict(greedy["value"] <= most)])
    return table(["aim", "wanted", "measured", "met"], lines) if lines else ""


def markdown(result):
    machine = result["machine"]
    return "\n".join([
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Linux "
        f"{machine['kernel']}, load before {machine['load_before']:.1f}; {machine['date']}. "
        f"{'; '.join(dict.fromkeys(result['versions'].values()))}.",
        f"{result['rounds'] * result['seconds']} rounds of 1 s each, the servers in turn (paced: "
        f"{result['rounds']} of {result['seconds']} s); medians, in "
        "brackets the least and the most. A ratio below 1 in CPU, above 1 in rate, is in "
        "Moonhook's favour.", "", speed_table(result), "", other_table(result), "",
        aims_table(result), ""])


def write(result, folder):
    with open(f"{folder}/result.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    with open(f"{folder}/result.md", "w", encoding="utf-8") as file:
        file.write(markdown(result))


def put_into_docs(result):
    """Replaces the section "Results" whole."""
    with open(DOCS, encoding="utf-8") as file:
        text = file.read()
    section = f"## Results\n\n{markdown(result).strip()}\n\n"
    text, count = re.subn(r"^## Results\n.*?(?=^## )", lambda _: section, text,
                          flags=re.M | re.S)
    if count != 1:
        sys.exit(f"report.py: {DOCS} has no section \"Results\" with another behind it")
    with open(DOCS, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    with open(sys.argv[1] if len(sys.argv) > 1 else "build/bench/result.json",
              encoding="utf-8") as found:
        put_into_docs(json.load(found))
