# A small disk of one's own, so that it can be full: `use OwnDisk '64m';`, before everything else, starts the test anew with a
# disk of that size in $OwnDisk::disk.
#
# What: a tmpfs in a mount namespace. Why: only real ENOSPC behaves like it, and this needs no root, is seen by nobody
# else, and ends with the test's last process, so that nothing has to be unmounted (a server that recovers must find its
# files). Where it cannot be had the test is skipped. At `use`, because later on the output goes elsewhere.
package OwnDisk;

use strict;
use warnings;
use File::Temp ();
use IPC::Run ();
use Test::More;

our $disk = $ENV{MIGRATION_OWN_DISK};

sub import
{
	my ($class, $size) = @_;
	return if $disk;
	$disk = File::Temp::tempdir(($ENV{TMPDIR} || '/tmp') . '/own_disk_XXXX');
	# Mounting takes root of a namespace, and a server refuses root: one namespace in the other.
	my $mount = "mount -t tmpfs -o size=$size,mode=0700 own_disk \"\$1\"";
	my @in = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
		"$mount && uid=\$2 gid=\$3 && shift 3 && exec unshare --user --map-user=\$uid --map-group=\$gid \"\$@\"",
		'sh', $disk, $>, $) + 0);
	my ($out, $err) = ('', '');
	my $possible = eval { IPC::Run::run([ @in, 'stat', '-f', '-c', '%T', $disk ], '>', \$out, '2>', \$err) } && $out =~ /^tmpfs$/m;
	rmdir $disk unless $possible;
	plan(skip_all => "no disk of one's own can be had here: " . ($err || $@ || $out) =~ s/\n.*//sr) unless $possible;
	$ENV{MIGRATION_OWN_DISK} = $disk;
	exec(@in, $^X, $0, @ARGV) or die "cannot start anew: $!";
}

# Fills a disk up to the last byte, then leaves so many bytes of it; gives the file to unlink.
sub fill_disk
{
	my ($dir, $left) = @_;
	my $file = "$dir/ballast";
	open my $handle, '>', $file or die "$file: $!";
	for my $size (1 << 16, 1 << 12) { 1 while syswrite $handle, "\0" x $size; }
	my $length = -s $handle;
	truncate $handle, $length > $left ? $length - $left : 0 or die "$file: $!";
	close $handle;
	return $file;
}

1;
