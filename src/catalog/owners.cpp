// Reading owners; see owners.hpp.
#include "catalog/owners.hpp"

#include "pg/sql.hpp"

namespace migration::catalog {

std::vector<TableOwner> owners_of(unsigned relation) {
  pg::Scope scope;
  std::vector<TableOwner> out;
  for (const pg::Row& row : pg::query(
           "WITH RECURSIVE tree AS (SELECT $1::oid AS relid UNION ALL SELECT h.inhrelid FROM tree JOIN "
           "pg_catalog.pg_inherits h ON h.inhparent = tree.relid JOIN pg_catalog.pg_class p ON p.oid = h.inhrelid AND "
           "p.relispartition) SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relowner, o.rolname FROM tree "
           "JOIN pg_catalog.pg_class c ON c.oid = tree.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
           "JOIN pg_catalog.pg_class top ON top.oid = $1::oid LEFT JOIN pg_catalog.pg_roles o ON o.oid = c.relowner "
           "WHERE c.oid = top.oid OR (c.relkind = 'r' AND c.relowner <> top.relowner) "
           "ORDER BY c.oid <> top.oid, 1",
           {pg::sql_int(relation)})) {
    out.push_back(
        {pg::text_or_empty(row[0]), static_cast<unsigned>(pg::to_integer(row[1])), pg::text_or_empty(row[2])});
  }
  return out;
}

}  // namespace migration::catalog
