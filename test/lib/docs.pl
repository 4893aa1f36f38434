# What: the work of test/docs.sh; see there. Compared after numbers that differ from run to run are blotted out: times,
# durations, process ids, fingerprints, and the width of table columns.
use strict;
use warnings;
use File::Temp;

my ($update, @pages) = @ARGV;
my ($passed, $failed) = (0, 0);
$ENV{PGDATABASE} = 'postgres';

sub slurp { open(my $f, '<', $_[0]) or die "$_[0]: $!"; local $/; return scalar <$f>; }
sub spew { open(my $f, '>', $_[0]) or die "$_[0]: $!"; print $f $_[1]; close $f; }

sub psql {
    my ($database, $sql) = @_;
    my $file = File::Temp->new;
    print $file $sql;
    close $file;
    my $out = `psql -X -q -d $database < $file 2>&1`;
    return $out;
}

sub tidy {
    my ($text) = @_;
    $text =~ s/[ \t]+$//mg;
    $text =~ s/\n\n+/\n/g;
    $text =~ s{\A\n+|\s+\z}{}g;
    return $text;
}

sub blot {
    my ($text) = @_;
    $text =~ s{^NOTICE:  run \d+: .*\n?}{}mg;    # what a waiting session happens to see of a short run
    $text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d)?/TIME/g;
    $text =~ s/\b\d\d:\d\d:\d\d(\.\d+)?\b/DURATION/g;
    $text =~ s/\b[0-9a-f]{64}\b/FINGERPRINT/g;
    $text =~ s/\b(process|pid) \d+/$1 PID/g;
    $text =~ s/-{2,}/--/g;
    $text =~ s/[ \t]+/ /g;
    $text =~ s/ *$//mg;
    return $text;
}

for my $page (@pages) {
    my @lines = split /^/m, slurp($page);
    next unless grep { /^```sql\s*$/ } @lines;
    my $database = lc('docs_' . ($page =~ s{\W+}{_}gr));
    psql('postgres', "DROP DATABASE IF EXISTS $database WITH (FORCE);");
    my $made = psql('postgres', "CREATE DATABASE $database TEMPLATE template0;");
    die $made if $made =~ /ERROR/;
    my ($body) = join('', @lines) =~ /^```sql\s*\n(.*?)^```/ms;
    psql($database, 'CREATE EXTENSION migration_ext;') unless $body =~ /CREATE EXTENSION/;
    my $out = '';
    for (my $i = 0; $i < @lines;) {
        my $line = $lines[$i++];
        $out .= $line;
        next unless $line =~ /^```sql\s*$/;
        my $at = $i + 1;
        my $sql = '';
        while ($i < @lines && $lines[$i] !~ /^```\s*$/) { $sql .= $lines[$i]; $out .= $lines[$i++]; }
        $out .= $lines[$i++] // '';
        my $got = tidy(psql($database, $sql));
        my $j = $i;
        $j++ while $j < @lines && $lines[$j] =~ /^\s*$/;
        if ($j < @lines && $lines[$j] =~ /^```text\s*$/) {
            $out .= join '', @lines[$i .. $j];
            $i = $j + 1;
            my $expected = '';
            while ($i < @lines && $lines[$i] !~ /^```\s*$/) { $expected .= $lines[$i++]; }
            if ($update) {
                $out .= blot(tidy($expected)) eq blot($got) ? $expected : "$got\n";
            } else {
                $out .= $expected;
                if (blot(tidy($expected)) eq blot($got)) { $passed++; }
                else { $failed++; print "$page:$at: output differs\n--- expected\n", tidy($expected), "\n--- got\n$got\n\n"; }
            }
        } elsif ($got =~ /^(psql: |ERROR|FATAL|PANIC)/m) {
            $failed++;
            print "$page:$at: fails\n$got\n\n";
        } else {
            $passed++;
        }
    }
    spew($page, $out) if $update;
    psql('postgres', "DROP DATABASE IF EXISTS $database WITH (FORCE);");
}
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
