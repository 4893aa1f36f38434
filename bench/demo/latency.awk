# What: latencies out of pgbench's per-transaction logs, by phase. Input: first a file of phases (name, from, to in
# seconds since 1970, tab-separated), then the logs. Why overlap: a transaction belongs to every phase it was waiting or
# running in, so a lock held for 50 ms shows up however short the phase was. Latency counts from the time a transaction
# was due (pgbench --rate), so a queue behind a lock counts for everybody in it.
# Output, tab-separated: phase, transactions, median, 99th percentile, worst (ms; - when there are too few).
NR == FNR {
    split($0, f, "\t")
    n_phases++
    name[n_phases] = f[1]; from[n_phases] = f[2] + 0; to[n_phases] = f[3] + 0
    next
}
$3 ~ /^[0-9]+$/ {
    ms = $3 / 1000
    ended = $5 + $6 / 1000000
    began = ended - ms / 1000
    for (p = 1; p <= n_phases; p++)
        if (began < to[p] && ended > from[p]) seen[p, ++count[p]] = ms
}
function sift(a, i, n,    child, v) {
    v = a[i]
    while ((child = 2 * i) <= n) {
        if (child < n && a[child] < a[child + 1]) child++
        if (v >= a[child]) break
        a[i] = a[child]
        i = child
    }
    a[i] = v
}
function heap_sort(a, n,    i, v) {
    for (i = int(n / 2); i >= 1; i--) sift(a, i, n)
    for (i = n; i > 1; i--) { v = a[1]; a[1] = a[i]; a[i] = v; sift(a, 1, i - 1) }
}
function quantile(a, n, q,    at) {
    at = int(q * n); if (at < q * n) at++
    return a[at < 1 ? 1 : at]
}
END {
    for (p = 1; p <= n_phases; p++) {
        n = count[p] + 0
        split("", a)
        for (i = 1; i <= n; i++) a[i] = seen[p, i]
        heap_sort(a, n)
        median = p99 = worst = "-"
        if (n > 0) { median = sprintf("%.1f", quantile(a, n, 0.5)); worst = sprintf("%.1f", a[n]) }
        if (n >= 100) p99 = sprintf("%.1f", quantile(a, n, 0.99))
        printf "%s\t%d\t%s\t%s\t%s\n", name[p], n, median, p99, worst
    }
}
