"""Turns measurements into ratios and tables."""

import json
import statistics

OURS = "moonhook"


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


def markdown(result):
    machine = result["machine"]
    return "\n".join([
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Linux "
        f"{machine['kernel']}, load before {machine['load_before']:.1f}; {machine['date']}. "
        f"{'; '.join(result['versions'].values())}.",
        f"{result['rounds']} rounds of {result['seconds']} s each, the servers in turn; medians, in "
        "brackets the least and the most. A ratio below 1 in CPU, above 1 in rate, is in "
        "Moonhook's favour.", "", speed_table(result), "", other_table(result), ""])


def write(result, folder):
    with open(f"{folder}/result.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    with open(f"{folder}/result.md", "w", encoding="utf-8") as file:
        file.write(markdown(result))
