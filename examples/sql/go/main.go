// A shop that stores an order and enqueues its receipt in one transaction, with pgx 5.
//
//	export DATABASE_URL=postgresql://shop:secret@localhost/tasks
//	go run . init                         makes the table of orders
//	go run . place ORDER CUSTOMER CENTS   a second time with the same ORDER: the same task
//	go run . place-many COUNT             orders in one statement, tasks in another
//	go run . status TASK                  needs SELECT on tidemill.task_status
//
// Without DATABASE_URL the PG* variables count. The login needs the role tidemill_producer, no more.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Receipt is the payload of the task type send_receipt.
type Receipt struct {
	Order    string `json:"order"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

// Task has the fields of tidemill.enqueue_many that this shop uses.
type Task struct {
	Type           string  `json:"type"`
	Payload        Receipt `json:"payload"`
	Queue          string  `json:"queue"`
	IdempotencyKey string  `json:"idempotency_key"`
}

// refused is what the shop itself says no to; nothing of the order is kept.
type refused string

func (reason refused) Error() string { return "refused: " + string(reason) }

// Serialization failure, deadlock, lock not available: the same transaction may work now.
var retried = map[string]bool{"40001": true, "40P01": true, "55P03": true}

func initialise(ctx context.Context, conn *pgx.Conn) (string, error) {
	_, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS orders
		(id text PRIMARY KEY, customer text NOT NULL, cents integer NOT NULL)`)
	return "ready", err
}

// place stores an order and enqueues its receipt: both or neither. It returns the task's id.
func place(ctx context.Context, conn *pgx.Conn, receipt Receipt) (string, error) {
	var id string
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders (id, customer, cents) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, receipt.Order, receipt.Customer, receipt.Cents)
		if err != nil {
			return err
		}
		// pgx makes JSON of a struct or map where the parameter is jsonb; a string or []byte it
		// takes for JSON text. ::text spares a uuid type.
		err = tx.QueryRow(ctx, `SELECT tidemill.enqueue('send_receipt', $1,
			queue => 'mail', idempotency_key => $2)::text`, receipt, "receipt:"+receipt.Order).Scan(&id)
		if err != nil {
			return err
		}
		if receipt.Cents <= 0 {
			return refused("order " + receipt.Order + " must cost something") // rolls both back
		}
		return nil
	})
	return id, err
}

// placeMany stores orders and enqueues their receipts, in two statements however many there are.
func placeMany(ctx context.Context, conn *pgx.Conn, count int) (string, error) {
	orders := make([]Receipt, count)
	tasks := make([]Task, count)
	for n := range orders {
		orders[n] = Receipt{Order: fmt.Sprintf("o%d", n), Customer: "many", Cents: 100}
		tasks[n] = Task{"send_receipt", orders[n], "mail", "receipt:" + orders[n].Order}
	}
	fresh := 0
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders (id, customer, cents)
			SELECT o."order", o.customer, o.cents
			  FROM jsonb_to_recordset($1::jsonb) AS o ("order" text, customer text, cents integer)
			ON CONFLICT DO NOTHING`, orders)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT created FROM tidemill.enqueue_many($1)`, tasks)
		if err != nil {
			return err
		}
		answers, err := pgx.CollectRows(rows, pgx.RowTo[bool])
		for _, created := range answers {
			if created {
				fresh++
			}
		}
		return err
	})
	return fmt.Sprintf("%d tasks, %d new", count, fresh), err
}

func status(ctx context.Context, conn *pgx.Conn, task string) (string, error) {
	var state, queue string
	err := conn.QueryRow(ctx, `SELECT status, queue FROM tidemill.task_status WHERE id = $1`,
		task).Scan(&state, &queue)
	if errors.Is(err, pgx.ErrNoRows) {
		return "no such task", nil
	}
	return state + " in " + queue, err
}

// withRetries runs a whole transaction again where that may help.
func withRetries(times int, act func() (string, error)) (string, error) {
	for attempt := 1; ; attempt++ {
		told, err := act()
		var failure *pgconn.PgError
		if err == nil || attempt == times || !errors.As(err, &failure) || !retried[failure.Code] {
			return told, err
		}
		time.Sleep(time.Duration(attempt) * 100 * time.Millisecond)
	}
}

func run(ctx context.Context, arguments []string) (string, error) {
	conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	switch {
	case len(arguments) == 1 && arguments[0] == "init":
		return initialise(ctx, conn)
	case len(arguments) == 4 && arguments[0] == "place":
		cents, err := strconv.Atoi(arguments[3])
		if err != nil {
			return "", err
		}
		receipt := Receipt{arguments[1], arguments[2], cents}
		return withRetries(3, func() (string, error) { return place(ctx, conn, receipt) })
	case len(arguments) == 2 && arguments[0] == "place-many":
		count, err := strconv.Atoi(arguments[1])
		if err != nil {
			return "", err
		}
		return withRetries(3, func() (string, error) { return placeMany(ctx, conn, count) })
	case len(arguments) == 2 && arguments[0] == "status":
		return status(ctx, conn, arguments[1])
	}
	return "", errors.New("usage: shop init | place ORDER CUSTOMER CENTS | place-many COUNT | status TASK")
}

func main() {
	told, err := run(context.Background(), os.Args[1:])
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", failure.Code, failure.Message)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(told)
}
