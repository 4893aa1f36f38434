--
-- The grammar of targets is Alembic's: symbols, prefixes, relative steps, labels. Each line: what is applied, the call, its steps and the
-- heads afterwards, or SQLSTATE, message and detail.
--
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '
SET client_min_messages = warning;
-- A line: e62 > 548 > b7e > 1bb > 397
SELECT mtest.node('e620000', NULL), mtest.node('548f000', 'e620000'), mtest.node('b7e9000', '548f000'), mtest.node('1bbfaba', 'b7e9000'), mtest.node('397d000', '1bbfaba');
SELECT have, verb, target, mtest.go(have, verb, target) FROM (VALUES
  (1, 'base', 'upgrade', 'head'), (2, 'base', 'upgrade', 'heads'), (3, 'base', 'upgrade', 'b7e9000'), (4, 'base', 'upgrade', 'b7e'), (5, 'base', 'upgrade', 'b'),
  (6, 'base', 'upgrade', '+1'), (7, 'e62', 'upgrade', '+2'), (8, 'e62', 'upgrade', '+7'), (9, 'base', 'upgrade', 'base+2'), (10, 'e62', 'upgrade', 'b7e+2'),
  (11, 'e62', 'upgrade', 'b7e-1'), (12, 'e62', 'upgrade', 'e62+6'), (13, '548', 'upgrade', '-2'), (14, 'head', 'upgrade', 'head'), (15, 'head', 'upgrade', '+0'),
  (16, 'head', 'upgrade', '+1'), (17, 'head', 'upgrade', 'base'), (18, 'head', 'upgrade', 'e62'), (19, 'base', 'upgrade', 'current'), (20, 'e62', 'upgrade', 'current'),
  (21, 'base', 'upgrade', 'head-1'), (22, 'base', 'upgrade', 'head+1'), (23, 'base', 'upgrade', 'e62, b7e'), (24, 'e62', 'upgrade', 'e62:head'),
  (25, 'base', 'upgrade', '+1abc'), (26, 'base', 'upgrade', '+'), (27, 'base', 'upgrade', '++1'), (28, 'base', 'upgrade', '+99999999999999999999'), (29, 'base', 'upgrade', 'zz'),
  (30, 'base', 'upgrade', 'zzzz'), (31, 'base', 'upgrade', ''), (32, 'base', 'upgrade', 'E62'), (33, 'base', 'upgrade', ' head'), (34, 'base', 'upgrade', '@'),
  (35, 'base', 'upgrade', 'e62@head'), (36, 'base', 'upgrade', 'none@head'), (37, 'base', 'upgrade', 'HEAD'),
  (50, 'head', 'downgrade', 'base'), (51, 'head', 'downgrade', '-1'), (52, 'head', 'downgrade', '-5'), (53, 'head', 'downgrade', '-6'), (54, 'head', 'downgrade', 'head-2'),
  (55, 'head', 'downgrade', 'b7e'), (56, 'head', 'downgrade', 'b7e+1'), (57, 'head', 'downgrade', 'b7e-1'), (58, 'head', 'downgrade', 'head'), (59, 'b7e', 'downgrade', 'head'),
  (60, '548', 'downgrade', '548'), (61, '548', 'downgrade', '1bb'), (62, 'base', 'downgrade', 'base'), (63, 'base', 'downgrade', '-1'), (64, 'head', 'downgrade', '+1'),
  (65, 'head', 'downgrade', 'zzzz'), (66, 'head', 'downgrade', ''), (67, 'head', 'downgrade', 'head:base'), (68, 'head', 'downgrade', 'e62-2'), (69, 'head', 'downgrade', 'current'),
  (70, 'head', 'downgrade', '-0'), (71, 'head', 'downgrade', '548, e62'), (72, 'head', 'downgrade', 'heads')) v(n, have, verb, target) ORDER BY n;
-- Ambiguous prefixes; an exact id is never ambiguous.
SELECT mtest.node('abc123def456', '397d000'), mtest.node('abc123aaa111', 'abc123def456'), mtest.node('abc1', 'abc123aaa111');
SELECT target, mtest.go('397d000', 'upgrade', target) FROM unnest('{abc,abc1,abc123,abc123d,ABC123D}'::text[]) target;
-- An applied revision that nobody knows: nothing can be planned from there.
INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, stamped) VALUES ('gone', '', now(), 'x', true);
SELECT mtest.try('SELECT migration_upgrade()');
SELECT mtest.try('SELECT migration_downgrade(''-1'')');
SELECT mtest.try('SELECT migration_downgrade(''base'')');
SELECT mtest.try('SELECT mtest.path(''head'')');
SELECT current FROM migration_status();
SELECT mtest.clean();

-- Branches: aaaa > bbbb > { c1c1 [c1branch] > d1d1, c2c2 [c2branch] > d2d2 }
SELECT mtest.node('aaaa'), mtest.node('bbbb', 'aaaa'), mtest.node('c1c1', 'bbbb', 'c1branch'), mtest.node('d1d1', 'c1c1'), mtest.node('c2c2', 'bbbb', 'c2branch'), mtest.node('d2d2', 'c2c2');
SELECT have, verb, target, mtest.go(have, verb, target) FROM (VALUES
  (1, 'aaaa', 'upgrade', 'heads'), (2, 'aaaa', 'upgrade', 'head'), (3, 'base', 'upgrade', 'head'), (4, 'base', 'upgrade', 'c1branch@head'), (5, 'base', 'upgrade', 'c1br@head'),
  (6, 'base', 'upgrade', 'c1c1@head'), (7, 'c1c1', 'upgrade', 'c2branch@+1'), (8, 'c1c1, c2c2', 'upgrade', 'c2branch@+1'), (9, 'c1c1, c2c2', 'upgrade', '+1'),
  (10, 'bbbb', 'upgrade', '+1'), (11, 'base', 'upgrade', '+1'), (12, 'base', 'upgrade', '+3'), (13, 'bbbb', 'upgrade', 'c1branch@+3'), (14, 'base', 'upgrade', 'c1branch@+3'),
  (15, 'base', 'upgrade', 'c1branch+1'), (16, 'base', 'upgrade', 'nobranch@head'), (17, 'base', 'upgrade', 'c1branch@d2d2'), (18, 'base', 'upgrade', 'c1branch@d1d1'),
  (19, 'base', 'upgrade', 'heads-1'), (20, 'base', 'upgrade', 'c1branch'), (21, 'base', 'upgrade', 'd1d1, d2d2'), (22, 'd1d1', 'upgrade', 'heads'), (23, 'base', 'upgrade', 'c1branch@base'),
  (24, 'base', 'upgrade', 'c1branch@heads'), (25, 'base', 'upgrade', 'bbbb@head'), (26, 'base', 'upgrade', 'c1branch@-1'), (27, 'base', 'upgrade', '@head'),
  (50, 'd2d2, d1d1', 'downgrade', 'base+2'), (51, 'c1c1, d2d2', 'downgrade', 'c2branch@bbbb'), (52, 'd2d2, d1d1', 'downgrade', '-1'), (53, 'd1d1, c2c2', 'downgrade', '-2'),
  (54, 'd1d1, d2d2', 'downgrade', 'c1branch@-1'), (55, 'd1d1, d2d2', 'downgrade', 'c1branch@-2'), (56, 'd1d1, d2d2', 'downgrade', 'c1branch@-3'), (57, 'd1d1, d2d2', 'downgrade', 'c1branch@-4'),
  (58, 'd1d1, d2d2', 'downgrade', 'c1branch@-5'), (59, 'd1d1', 'downgrade', 'c2branch@-1'), (60, 'd1d1, d2d2', 'downgrade', 'bbbb'), (61, 'd1d1, d2d2', 'downgrade', 'c1branch@base'),
  (62, 'd1d1, d2d2', 'downgrade', 'c1branch@c1c1'), (63, 'd1d1', 'downgrade', 'd2d2'), (64, 'd1d1', 'downgrade', '-1'), (65, 'd1d1', 'downgrade', '-3'), (66, 'd1d1, d2d2', 'downgrade', 'head')) v(n, have, verb, target)
ORDER BY n;
-- History takes ranges.
SELECT mtest.go('d1d1', 'upgrade', 'head') IS NOT NULL;
SELECT migration_stamp('c1c1', purge => true);
SELECT range, mtest.try(format('SELECT string_agg(revision, '' '') FROM migration_history(%L)', range)) FROM (VALUES (NULL), (''), ('aaaa:c1c1'), ('c1c1:'), (':bbbb'), ('base:heads'),
  ('current:'), ('current:d1d1'), (':'), ('c1c1:c2c2'), ('d1d1:aaaa'), ('aaaa'), ('zzzz:'), ('-1:'), ('-1:current'), ('aaaa:+2'), ('c1branch@base:c1branch@head'), ('a:b:c')) v(range);
-- Show takes what names a revision.
SELECT target, mtest.try(format('SELECT string_agg(revision_id, '' '') FROM migration_show(%L)', target)) FROM unnest('{head,heads,base,current,c1branch,c1branch@head,aaaa,aa,current+1,aaaa+1}'::text[]) target;
-- Downgrade as planned: a target that is applied.
SELECT target, mtest.try(format('SELECT mtest.path(%L)', target)) FROM unnest('{heads,c1branch@head,bbbb,aaaa,base,-1,-2,c1c1,d2d2,+1,c1c1-1,c1branch@-1}'::text[]) target;
SELECT mtest.clean();
