/** The documents' example messages and statements, verbatim; brokers and topics are put in by who runs them. */
export const CSV_MESSAGES: readonly string[] = [
  '2020050802,2020-05-08,Johann Georg Faust,Deutschland,male,895',
  '2020050802,2020-05-08,Julien Sorel,France,male,893',
  '2020050803,2020-05-08,Dorian Grey,UK,male,1262',
  '2020050901,2020-05-09,Anna Karenina",Russia,female,175',
  '2020051001,2020-05-10,Tess Durbeyfield,US,female,986',
  '2020051101,2020-05-11,Edogawa Conan,japan,male,8924',
];
export const JSON_MESSAGES: readonly string[] = [
  '{"commodity_id": "1", "customer_name": "Mark Twain", "country": "US","pay_time": 1589191487,"price": 875}',
  '{"commodity_id": "2", "customer_name": "Oscar Wilde", "country": "UK","pay_time": 1589191487,"price": 895}',
  '{"commodity_id": "3", "customer_name": "Antoine de Saint-Exupéry","country": "France","pay_time": 1589191487,"price": 895}',
];
export const CSV_TABLE = `CREATE TABLE example_db.example_tbl1 ( 
    \`order_id\` bigint NOT NULL COMMENT "Order ID",
    \`pay_dt\` date NOT NULL COMMENT "Payment date", 
    \`customer_name\` varchar(26) NULL COMMENT "Customer name", 
    \`nationality\` varchar(26) NULL COMMENT "Nationality", 
    \`price\`double NULL COMMENT "Price"
) 
ENGINE=OLAP 
DUPLICATE KEY (order_id,pay_dt) 
DISTRIBUTED BY HASH(\`order_id\`) BUCKETS 5`;
export const JSON_TABLE = `CREATE TABLE \`example_tbl2\` ( 
    \`commodity_id\` varchar(26) NULL COMMENT "Commodity ID", 
    \`customer_name\` varchar(26) NULL COMMENT "Customer name", 
    \`country\` varchar(26) NULL COMMENT "Country", 
    \`pay_time\` bigint(20) NULL COMMENT "Payment time", 
    \`pay_dt\` date NULL COMMENT "Payment date", 
    \`price\`double SUM NULL COMMENT "Price"
) 
ENGINE=OLAP
AGGREGATE KEY(\`commodity_id\`,\`customer_name\`,\`country\`,\`pay_time\`,\`pay_dt\`) 
DISTRIBUTED BY HASH(\`commodity_id\`) BUCKETS 5`;
export const CSV_JOB = `CREATE ROUTINE LOAD example_db.example_tbl1_ordertest1 ON example_tbl1
COLUMNS TERMINATED BY ",",
COLUMNS (order_id, pay_dt, customer_name, nationality, temp_gender, price)
PROPERTIES
(
    "desired_concurrent_number" = "5"
)
FROM KAFKA
(
    "kafka_broker_list" ="<kafka_broker1_ip>:<kafka_broker1_port>,<kafka_broker2_ip>:<kafka_broker2_port>",
    "kafka_topic" = "ordertest1",
    "kafka_partitions" ="0,1,2,3,4",
    "property.kafka_default_offsets" = "OFFSET_BEGINNING"
)`;
export const JSON_JOB = `CREATE ROUTINE LOAD example_db.example_tbl2_ordertest2 ON example_tbl2
COLUMNS(commodity_id, customer_name, country, pay_time, price, pay_dt=from_unixtime(pay_time, '%Y%m%d'))
PROPERTIES
(
    "desired_concurrent_number"="5",
    "format" ="json",
    "jsonpaths" ="[\\"$.commodity_id\\",\\"$.customer_name\\",\\"$.country\\",\\"$.pay_time\\",\\"$.price\\"]"
 )
FROM KAFKA
(
    "kafka_broker_list" ="<kafka_broker1_ip>:<kafka_broker1_port>,<kafka_broker2_ip>:<kafka_broker2_port>",
    "kafka_topic" = "ordertest2",
    "kafka_partitions" ="0,1,2,3,4",
    "property.kafka_default_offsets" = "OFFSET_BEGINNING"
)`;
