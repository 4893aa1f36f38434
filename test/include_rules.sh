#!/usr/bin/env bash
# What: the house rules that a machine can check; one line `ok NAME` or `not ok NAME` per rule, exit 1 if one is broken.
# Why: data flows one way through the rooms of src/, and only one room knows the server's dangerous parts. A rule that
# nothing checks is gone within a month. Usage: test/include_rules.sh [tree]
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/tree.sh
. "$here/lib/tree.sh"
cd "${1:-$here/..}" || exit 2
export LC_ALL=C.UTF-8
status=0

# rule NAME: the offences come on standard input; none = kept.
rule() {
  local offences
  offences=$(cat)
  if [ -z "$offences" ]; then
    echo "ok $1"
  else
    status=1
    echo "not ok $1"
    printf '%s\n' "$offences" | head -n 25 | cut -c 1-200 | sed 's/^/    /'
  fi
}

mapfile -t sources < <(find src -type f \( -name '*.cpp' -o -name '*.hpp' \) 2>/dev/null | LC_ALL=C sort)
mapfile -t code < <(find src test bench -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.pl' -o -name '*.pm' \
  -o -name '*.py' -o -name '*.sh' \) 2>/dev/null | LC_ALL=C sort)

# in_code PATTERN [file filter]: matches outside // comments and string literals, as file:line: text. The filter (an
# extended regular expression) names files in which the pattern is allowed.
in_code() {
  [ ${#sources[@]} -gt 0 ] || return 0
  PATTERN=$1 ALLOWED=${2:-^$} perl -ne '
    next if $ARGV =~ /$ENV{ALLOWED}/;
    my $text = $_;
    s/"(?:[^"\\]|\\.)*"/""/g unless /^\s*#\s*include/;
    s{//.*}{};
    print "$ARGV:$.: $text" if /$ENV{PATTERN}/;
  } continue { close ARGV if eof;' "${sources[@]}"
}

# 1. Which room may include which. A room may include itself, the rooms named here, and nothing else of ours.
perl - "${sources[@]}" <<'PERL' >/tmp/.rooms.$$
my %may = (
  statement => '', revision => 'statement', lint => 'statement revision', schema => 'statement revision',
  backfill => 'statement revision', plan => 'statement revision lint schema backfill',
  run => 'statement revision lint schema backfill plan',
  pg => 'statement revision lint schema backfill plan run',
  catalog => 'pg statement revision lint schema backfill plan run',
  worker => 'api catalog pg statement revision lint schema backfill plan run',
  api => 'worker catalog pg statement revision lint schema backfill plan run',
);
# Rooms side by side (lint, schema, backfill; worker, api) may look at each other in one direction only.
my @beside = (['lint', 'schema', 'backfill'], ['worker', 'api']);
for my $group (@beside) { for my $a (@$group) { $may{$a} .= " $_" for grep { $_ ne $a } @$group } }
my (%uses, @lines);
for my $file (@ARGV) {
  my ($room) = $file =~ m{^src/([^/]+)/} or next;
  push @lines, "$file: no such room" if !exists $may{$room};
  open my $in, '<', $file or next;
  while (<$in>) {
    next unless /^\s*#\s*include\s*"([a-z_]+)\/[^"]+\.hpp"/;
    my $other = $1;
    next if $other eq $room;
    $uses{$room}{$other} //= "$file:$.";
    push @lines, "$file:$.: $room may not include $other" unless grep { $_ eq $other } split ' ', $may{$room};
  }
}
for my $group (@beside) {
  for my $i (0 .. $#$group) {
    for my $j ($i + 1 .. $#$group) {
      my ($a, $b) = @$group[$i, $j];
      push @lines, "$uses{$a}{$b} and $uses{$b}{$a}: $a and $b include each other" if $uses{$a}{$b} && $uses{$b}{$a};
    }
  }
}
print "$_\n" for @lines;
PERL
rule 'rooms include only rooms to their left' </tmp/.rooms.$$
rm -f /tmp/.rooms.$$

# 2. The server's headers: never in the pure rooms.
pure='^src/(statement|revision|lint|schema|backfill|plan|run)/'
in_code '^\s*#\s*include\s*[<"](postgres(_fe)?\.h|fmgr\.h|(access|catalog|commands|executor|nodes|parser|storage|utils|tcop|lib|mb|miscadmin|port|replication)/?[^"<>]*\.h)[">]|^\s*#\s*include\s*[<"](pg|catalog)/' |
  grep -E "$pure" | rule 'pure rooms see no server'

# 3. The dangerous words, each in its own room.
in_code '\b(ereport|elog)\s*\(' '^src/pg/' | rule 'ereport only in src/pg'
in_code '\bSPI_[a-z]' '^src/pg/' | rule 'SPI only in src/pg'
in_code '\bPG_VERSION_NUM\b' '^src/pg/' | rule 'PG_VERSION_NUM only in src/pg'
in_code '\b(sigsetjmp|PG_exception_stack|PG_TRY|PG_CATCH)\b' '^src/pg/guard\.[a-z]+$' | rule 'sigsetjmp only in src/pg/guard'
in_code '\bstd::(thread|jthread|mutex|async)\b' | rule 'no threads in a backend'
in_code '#\s*include\s*<fmt/(printf|os)\.h>|<iostream>' | rule 'no fmt/printf, fmt/os or iostream'
in_code '\bfmt::format(_to)?\s*\(|#\s*include\s*<fmt/format\.h>' '^src/statement/formatted\.' | rule 'fmt is compiled once, by statement/formatted'

# 4. Errors that a user can cause say what to type. Exempt: bugs, damage and shutdowns; in the files of the executor, which
# gives every failure of a step the hint to resume. (That the hints parse is a test of its own: sql/z_hints.sql.)
perl - "${sources[@]}" <<'PERL' | rule 'errors hold a statement to type'
for my $file (@ARGV) {
  next if $file =~ m{^src/(statement/|worker/(batches|concurrent|executor)\.cpp)};
  open my $in, '<', $file or next;
  my $text = do { local $/; <$in> };
  while ($text =~ /\b(?:throw MigrationError|Refusal|return make)(\((?:[^()"]|"(?:[^"\\]|\\.)*"|(?1))*\)|\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|(?1))*\})/g) {
    my ($call, $line, $short) = ("$1", 1 + (substr($text, 0, $-[0]) =~ tr/\n//), substr($text, $-[0], 5) ne 'throw');
    my ($depth, $now, @given) = (0, '');
    while ($call =~ /\G("(?:[^"\\]|\\.)*"|.)/gs) {
      my $c = $1;
      if ($c =~ /^[({\[]$/) { next if ++$depth == 1 }
      if ($c =~ /^[)}\]]$/) { last if --$depth == 0 }
      if ($c eq ',' && $depth == 1) { push @given, $now; $now = ''; next }
      $now .= $c;
    }
    push @given, $now;
    s/^\s+|\s+$//g for @given;
    next if $given[0] !~ /^sqlstate::|^"/ || $given[0] =~ /::(internal_error|data_corrupted|admin_shutdown)$/;
    my $hint = $given[$short ? 2 : 3] // '';
    $hint =~ s/^fmt::format\(//;
    print "$file:$line: $given[1] has no hint\n" if $hint =~ /^(|\{\}|"")$/;
    print "$file:$line: hint is no statement: $hint\n" if $hint =~ /^"/ && $hint !~ /^"(SELECT|CREATE|ALTER|GRANT|SET|ROLLBACK)\b/;
  }
}
PERL

# 5. Readable files.
for file in "${code[@]}"; do
  lines=$(wc -l <"$file")
  if [ "$lines" -gt 600 ]; then
    echo "$file: $lines lines, at most 600"
  elif [ "$lines" -gt 450 ]; then
    echo "warning: $file: $lines lines, better below 450" >&2
  fi
done | rule 'no file over 600 lines'
for file in "${sources[@]}"; do
  case $file in *.hpp) grep -q '^#pragma once' "$file" || echo "$file" ;; esac
done | rule 'headers say #pragma once'

{
  control=$(sed -nE "s/^default_version = '(.*)'$/\1/p" migration_ext.control)
  grep -q "library_version\[\] = \"$control\"" src/pg/sql.cpp || echo "src/pg/sql.cpp: library_version is not $control"
} | rule 'the library knows its version'

# 6. The project stands alone. (The words are in pieces so that this file does not find itself.)
outside="\\.\\./sh""ared|(^|[^[:alnum:]_.~-])/wo""rk/"
hosts="deb\\.deb""ian\\.org|py""pi\\.org|registry\\.np""mjs|proxy\\.gol""ang"
tree_files . | tr '\n' '\0' | xargs -0 grep -InE "$outside" 2>/dev/null | rule 'nothing outside the tree is named'
find Makefile CMakeLists.txt .ci test bench -type f ! -name '*.html' -print0 2>/dev/null |
  xargs -0 grep -InE "$hosts" 2>/dev/null | rule 'no registry host is named'
find . -path ./.git -prune -o -path ./build -prune -o \( -name '*.sh' -o -path './.ci/run' \) -type f ! -path './test/lib/*' \
  ! -path '*/lib.sh' ! -perm -u+x -print | rule 'scripts are executable'

# 7. Formatting, by the one version that the project uses.
mapfile -t formatted < <(find src test bench -type f \( -name '*.cpp' -o -name '*.hpp' \) 2>/dev/null | LC_ALL=C sort)
if ! command -v clang-format-14 >/dev/null; then
  echo "skipped: formatting (no clang-format-14)"
elif [ ${#formatted[@]} -gt 0 ]; then
  clang-format-14 --dry-run -Werror "${formatted[@]}" 2>&1 |
    sed -nE 's/^([^:]+):[0-9]+:[0-9]+: error:.*/\1/p' | uniq -c | sed -E 's/^ *([0-9]+) (.*)/\2: \1 places; `make format` changes them/' |
    rule 'clang-format finds nothing to change'
fi
exit "$status"
