-- The help desk's own tables. Each belongs to all tenants together: tenant_id comes first in every key, index and
-- foreign key, fills itself with the tenant that the connection has entered, and protect_table puts the table behind
-- row-level security that holds for its owner too. After that no query here ever mentions tenant_id again.

CREATE TABLE customers (
  tenant_id text COLLATE "C" NOT NULL DEFAULT bulkhead.current_tenant(),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
  -- Kept in lower case instead of indexing lower(email): lower() is not leakproof, and under row-level security
  -- PostgreSQL uses an index only for conditions that are.
  email text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254 AND email = lower(email)),
  company text NOT NULL CHECK (char_length(company) BETWEEN 1 AND 120),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, email)
);
CREATE INDEX customers_by_name ON customers (tenant_id, name, email);
SELECT bulkhead.protect_table('customers');

-- The last ticket number of each tenant, one row a tenant. A sequence would be shared by all tenants, so the gaps in
-- one tenant's numbers would tell it how much the others are doing. The row also is the lock that makes numbers unique:
-- it is held for one short statement, and only against the same tenant.
CREATE TABLE ticket_counters (
  tenant_id text COLLATE "C" NOT NULL DEFAULT bulkhead.current_tenant(),
  last_number integer NOT NULL CHECK (last_number BETWEEN 1 AND 999999999),
  PRIMARY KEY (tenant_id)
);
SELECT bulkhead.protect_table('ticket_counters');

CREATE TABLE tickets (
  tenant_id text COLLATE "C" NOT NULL DEFAULT bulkhead.current_tenant(),
  -- What people say on the telephone. Every tenant has its own 1001.
  number integer NOT NULL CHECK (number BETWEEN 1 AND 999999999),
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 200),
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'pending', 'closed')),
  priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
  customer_id uuid NOT NULL,
  -- Subjects of the tenant's identity provider, which is where people are kept.
  assignee text CHECK (char_length(assignee) BETWEEN 1 AND 255),
  opened_by text NOT NULL CHECK (char_length(opened_by) BETWEEN 1 AND 255),
  -- The operation that opened the ticket: joins it to its row in the audit trail.
  operation_id text NOT NULL CHECK (char_length(operation_id) BETWEEN 1 AND 64),
  opened_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz CHECK (closed_at >= opened_at),
  resolution text CHECK (char_length(resolution) BETWEEN 1 AND 4000),
  -- No GIN index on purpose. It could not begin with tenant_id, and PostgreSQL would never use it: @@ is not leakproof,
  -- so row-level security has to come before it. Search reads the tenant's own tickets from the newest down and stops
  -- when the page is full; what is stored here is the expensive half of that work.
  search tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('pg_catalog.english', subject), 'A') || setweight(to_tsvector('pg_catalog.english', body), 'B')
  ) STORED,
  PRIMARY KEY (tenant_id, number),
  FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id),
  CHECK ((status = 'closed') = (closed_at IS NOT NULL) AND (status = 'closed') = (resolution IS NOT NULL))
);
CREATE INDEX tickets_by_status ON tickets (tenant_id, status, number);
CREATE INDEX tickets_by_assignee ON tickets (tenant_id, assignee, number);
CREATE INDEX tickets_by_customer ON tickets (tenant_id, customer_id, number);
CREATE INDEX tickets_by_closing ON tickets (tenant_id, closed_at) WHERE closed_at IS NOT NULL;
SELECT bulkhead.protect_table('tickets');

CREATE TABLE comments (
  tenant_id text COLLATE "C" NOT NULL DEFAULT bulkhead.current_tenant(),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  ticket integer NOT NULL,
  author text NOT NULL CHECK (char_length(author) BETWEEN 1 AND 255),
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
  -- For the desk's own people: never to be quoted to the customer.
  internal boolean NOT NULL DEFAULT false,
  at timestamptz NOT NULL DEFAULT now(),
  operation_id text NOT NULL CHECK (char_length(operation_id) BETWEEN 1 AND 64),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, ticket) REFERENCES tickets (tenant_id, number)
);
CREATE INDEX comments_by_ticket ON comments (tenant_id, ticket, at, id);
SELECT bulkhead.protect_table('comments');
